// Progress and log lines of running handlers on their way to Redis: gathered, so that one call carries those of all.

import type { Log } from '../log.ts';
import type { Consumer } from '../store/consumer.ts';
import { isNotSent, isReplyLost } from '../store/store-error.ts';
import type { Report } from './runners/runner.ts';
import type { Slots } from './slots.ts';

export interface ReportWriter {
  /** Takes a report, to be written soon. */
  add(report: Report): void;
  /** Begins to write the reports so far. They count only while their tasks run, so this goes before their outcomes. */
  flush(): void;
}

/** Reports of all tasks share one call in this time. */
const FLUSH_EVERY_MS = 250;

/** Reports of a run that Redis does not have yet. */
interface Unwritten {
  readonly claim: number;
  progress: Report['progress'];
  readonly lines: string[];
}

export function createReportWriter(
  consumer: Pick<Consumer, 'queue' | 'report'>,
  slots: Slots,
  log: Log,
): ReportWriter {
  const { queue } = consumer;
  /** By task. */
  const unwritten = new Map<string, Unwritten>();
  let timer: NodeJS.Timeout | undefined;

  function writeSoon(): void {
    timer ??= setTimeout(writeNow, FLUSH_EVERY_MS);
  }

  async function write(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    const reports = [...unwritten].flatMap(([id, { claim, progress, lines }]) => {
      const task = slots.find(queue, id)?.task;
      return task?.claim === claim ? [{ id, claim, token: task.token, progress, lines }] : [];
    });
    unwritten.clear();
    if (reports.length === 0) return;
    try {
      await consumer.report(reports);
    } catch (error) {
      // They may have been written: lines that are missing do less harm than lines that stand there twice.
      if (isReplyLost(error) && !isNotSent(error)) return;
      for (const report of reports) putBack(report);
      writeSoon();
    }
  }

  function writeNow(): void {
    write().catch((error: unknown) => log.error({ err: error, queue }, 'progress and log lines are lost'));
  }

  /** What was not written goes in front of what was added since. */
  function putBack({ id, claim, progress, lines }: Unwritten & { readonly id: string }): void {
    const since = unwritten.get(id);
    if (!since) unwritten.set(id, { claim, progress, lines });
    else if (since.claim === claim) {
      since.progress ??= progress;
      since.lines.unshift(...lines);
    }
  }

  return {
    add({ id, claim, progress, lines }) {
      const held = slots.find(queue, id);
      if (held) held.hasReported = true;
      const before = unwritten.get(id);
      if (before?.claim === claim) {
        before.progress = progress ?? before.progress;
        before.lines.push(...lines);
      } else unwritten.set(id, { claim, progress, lines: [...lines] });
      writeSoon();
    },

    flush() {
      if (unwritten.size > 0) writeNow();
    },
  };
}
