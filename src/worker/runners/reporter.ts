// The progress and the log lines of one run. Log lines are sent at once, so that those before a kill are there; progress a
// few times a second however often the handler calls, and its latest value is kept where it survives the handler.

import { cutText, valueText } from '../../protocol/value-text.ts';
import type { Job, Report } from './runner.ts';

const SEND_EVERY_MS = 200;
/** Lines that one attempt may log, and characters of each. */
const MOST_LINES = 1_000;
const LINE_CHARS = 2_000;
const NOTE_CHARS = 256;

export interface Reporter {
  progress(percent: number, note?: string): void;
  log(line: string): void;
  /** What was not sent yet; called once, when the run ends. */
  rest(): Report | undefined;
}

/** Keeps the latest progress. It is called as often as the handler calls. */
export type KeepProgress = (percent: number, note: string | undefined) => void;

/** @param send sends a report to the main thread */
export function createReporter(
  { queue, id, claim }: Job,
  send: (report: Report) => void,
  keep: KeepProgress,
): Reporter {
  let progress: Report['progress'];
  let logged = 0;
  let sentAt = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  let ended = false;

  /** The progress that was not sent yet, and lines. */
  function take(lines: readonly string[]): Report {
    clearTimeout(timer);
    timer = undefined;
    const report = { queue, id, claim, progress, lines };
    progress = undefined;
    sentAt = performance.now();
    return report;
  }

  function sendProgress(): void {
    if (!ended && progress) send(take([]));
  }

  return {
    progress(percent, note) {
      if (typeof percent !== 'number' || !(percent >= 0 && percent <= 100)) {
        throw new RangeError('progress takes a percentage from 0 to 100');
      }
      progress = { percent, note: note === undefined ? undefined : toLine(note, NOTE_CHARS) };
      if (ended) return;
      keep(percent, progress.note);
      // A handler that never yields has no timers: then the clock is looked at.
      const sinceMs = performance.now() - sentAt;
      if (sinceMs >= SEND_EVERY_MS) sendProgress();
      else timer ??= setTimeout(sendProgress, SEND_EVERY_MS - sinceMs).unref();
    },

    log(line) {
      if (ended) return;
      logged += 1;
      if (logged <= MOST_LINES) send(take([toLine(line, LINE_CHARS)]));
    },

    rest() {
      ended = true;
      const lines = logged > MOST_LINES ? [`${logged - MOST_LINES} more lines were not kept`] : [];
      return progress || lines.length > 0 ? take(lines) : undefined;
    },
  };
}

/** A handler may give anything instead of a text: then it is what JSON shows of it, in short. Never throws. */
function toLine(value: unknown, chars: number): string {
  try {
    const json = typeof value === 'object' && value !== null ? valueText(value) : undefined;
    // An object without members may have words of its own.
    return cutText(json ?? String(value), chars);
  } catch {
    return 'a value that cannot be read';
  }
}
