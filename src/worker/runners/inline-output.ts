// Whose code executes on the main thread: which handler writes to stdout or stderr, or has left an error behind.

import { AsyncLocalStorage } from 'node:async_hooks';
import type { Log } from '../../log.ts';
import { captureStreams, OutputBudget, OutputLines } from './output.ts';
import { createOutputLog, type OutputOwner } from './output-log.ts';

export interface InlineOutput {
  /** Captures the streams of the process. */
  start(): void;
  /** Runs a handler, or the synchronous part of it. */
  run<T>(owner: OutputOwner, handler: () => T): T;
  /** Runs a part of a run later, or something that belongs to none, when runs are followed. */
  runPart<T>(owner: OutputOwner | undefined, part: () => T): T;
  /** The handler has ended: what its code still writes is late. */
  end(owner: OutputOwner): void;
  /** Leaves the streams of the process to the process. */
  stop(): void;
}

/** The run whose code executes, also in callbacks long after it has ended. It may be kept in memory by code that it left behind. */
export const inlineRuns = new AsyncLocalStorage<OutputOwner | undefined>();
/**
 * Following runs through their asynchronous parts costs next to nothing from Node 24 on. Before, it costs all promises of the
 * main thread so much that a tiny task takes a tenth longer: there it is done from when a handler has written something on.
 */
export const ALWAYS_FOLLOWED = Number(process.versions.node.split('.', 1)[0]) >= 24;

/** @param log gets what handlers write */
export function createInlineOutput(log: Log): InlineOutput {
  const budget = new OutputBudget();
  const written = new Map<OutputOwner, OutputLines>();
  const runs = new Set<OutputOwner>();
  let isFollowing = ALWAYS_FOLLOWED;
  /** Runs that were under way when following began. What they write belongs to the one that is alone, or to none. */
  let unfollowed = new Set<OutputOwner>();
  let synchronous: OutputOwner | undefined;
  let restore = (): void => undefined;

  function find(): OutputLines | undefined {
    if (!isFollowing && runs.size > 0) {
      isFollowing = true;
      unfollowed = new Set(runs);
    }
    const alone = unfollowed.size === 1 ? [...unfollowed][0] : undefined;
    const owner = inlineRuns.getStore() ?? synchronous ?? alone;
    return owner && (written.get(owner) ?? linesOf(owner));
  }

  function linesOf(owner: OutputOwner): OutputLines {
    const isLate = !runs.has(owner);
    const lines = new OutputLines(createOutputLog(log, owner, isLate), budget);
    // What is late and no whole line is passed on by its own timer.
    if (!isLate) written.set(owner, lines);
    return lines;
  }

  return {
    start() {
      restore = captureStreams(find);
    },

    run(owner, handler) {
      runs.add(owner);
      if (isFollowing) return inlineRuns.run(owner, handler);
      synchronous = owner;
      try {
        return handler();
      } finally {
        synchronous = undefined;
      }
    },

    runPart(owner, part) {
      return isFollowing ? inlineRuns.run(owner, part) : part();
    },

    end(owner) {
      runs.delete(owner);
      unfollowed.delete(owner);
      if (written.size === 0) return;
      written.get(owner)?.flush();
      written.delete(owner);
    },

    stop: () => restore(),
  };
}
