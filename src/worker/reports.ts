// What running handlers tell, on its way to Redis: gathered, so that one call carries what all of them told.

import type { Log } from '../log.ts';
import type { Consumer } from '../store/consumer.ts';
import { isNotSent, isReplyLost } from '../store/store-error.ts';
import type { Told } from './job.ts';
import type { Slots } from './slots.ts';

export interface Reports {
  /** Takes what a handler tells, to be written soon. */
  tell(told: Told): void;
  /** Begins to write what was told so far. It counts only while the task runs, so this goes before its outcome. */
  passOn(): void;
}

/** Progress and log lines of all tasks share one call in this time. */
const PASS_ON_EVERY_MS = 250;

/** What a run has told and Redis does not have yet. */
interface Untold {
  readonly claim: number;
  progress: Told['progress'];
  readonly lines: string[];
}

export function createReports(consumer: Pick<Consumer, 'queue' | 'report'>, slots: Slots, log: Log): Reports {
  const { queue } = consumer;
  /** By task. */
  const untold = new Map<string, Untold>();
  let timer: NodeJS.Timeout | undefined;

  function passOnSoon(): void {
    timer ??= setTimeout(passOnNow, PASS_ON_EVERY_MS);
  }

  async function passOn(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    const reports = [...untold].flatMap(([id, { claim, progress, lines }]) => {
      const task = slots.find(queue, id)?.task;
      return task?.claim === claim ? [{ id, claim, token: task.token, progress, lines }] : [];
    });
    untold.clear();
    if (reports.length === 0) return;
    try {
      await consumer.report(reports);
    } catch (error) {
      // They may have been written: lines that are missing do less harm than lines that stand there twice.
      if (isReplyLost(error) && !isNotSent(error)) return;
      for (const report of reports) putBack(report);
      passOnSoon();
    }
  }

  function passOnNow(): void {
    passOn().catch((error: unknown) => log.error({ err: error, queue }, 'progress and log lines are lost'));
  }

  /** What was not written goes in front of what was told since. */
  function putBack({ id, claim, progress, lines }: Untold & { readonly id: string }): void {
    const since = untold.get(id);
    if (!since) untold.set(id, { claim, progress, lines });
    else if (since.claim === claim) {
      since.progress ??= progress;
      since.lines.unshift(...lines);
    }
  }

  return {
    tell({ id, claim, progress, lines }) {
      const held = slots.find(queue, id);
      if (held) held.hasReported = true;
      const before = untold.get(id);
      if (before?.claim === claim) {
        before.progress = progress ?? before.progress;
        before.lines.push(...lines);
      } else untold.set(id, { claim, progress, lines: [...lines] });
      passOnSoon();
    },

    passOn() {
      if (untold.size > 0) passOnNow();
    },
  };
}
