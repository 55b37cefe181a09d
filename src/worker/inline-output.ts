// Says which handler on the main thread writes to stdout or stderr.

import { AsyncLocalStorage } from 'node:async_hooks';
import type { Log } from '../log.ts';
import { createOutputLog, type OutputOwner } from './log-output.ts';
import { captureStreams, OutputBudget, OutputLines } from './output.ts';

export interface InlineOutput {
  /** Runs a handler, or the synchronous part of it. */
  run<T>(owner: OutputOwner, handler: () => T): T;
  /** The handler has ended: what its code still writes is late. */
  end(owner: OutputOwner): void;
  /** Leaves the streams of the process to the process. */
  stop(): void;
}

/**
 * Following a handler through its asynchronous parts costs a tiny task more than all the rest. So it is done from when one
 * has written something on; before that, what an asynchronous part writes belongs to the run that is alone, or to none.
 */
export function createInlineOutput(log: Log): InlineOutput {
  const budget = new OutputBudget();
  const written = new Map<OutputOwner, OutputLines>();
  const runs = new Set<OutputOwner>();
  let followed: AsyncLocalStorage<OutputOwner> | undefined;
  /** Those that were under way when that began. */
  let unfollowed = new Set<OutputOwner>();
  let synchronous: OutputOwner | undefined;

  function find(): OutputLines | undefined {
    if (!followed && runs.size > 0) {
      followed = new AsyncLocalStorage();
      unfollowed = new Set(runs);
    }
    const alone = unfollowed.size === 1 ? [...unfollowed][0] : undefined;
    const owner = followed?.getStore() ?? synchronous ?? alone;
    return owner && (written.get(owner) ?? linesOf(owner));
  }

  function linesOf(owner: OutputOwner): OutputLines {
    const isLate = !runs.has(owner);
    const lines = new OutputLines(createOutputLog(log, owner, isLate), budget);
    // What is late and no whole line is passed on by its own timer.
    if (!isLate) written.set(owner, lines);
    return lines;
  }

  const restore = captureStreams(find);

  return {
    run(owner, handler) {
      runs.add(owner);
      if (followed) return followed.run(owner, handler);
      synchronous = owner;
      try {
        return handler();
      } finally {
        synchronous = undefined;
      }
    },

    end(owner) {
      runs.delete(owner);
      unfollowed.delete(owner);
      if (written.size === 0) return;
      written.get(owner)?.flush();
      written.delete(owner);
    },

    stop: restore,
  };
}
