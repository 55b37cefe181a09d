// How a handler speaks while it runs. Log lines are passed on at once, so that those before a kill are there; progress a few
// times a second however often it calls, and its latest value is kept where it survives the handler.

import { cutText, valueText } from '../protocol/value-text.ts';
import type { Job, Told } from './job.ts';

const TELL_EVERY_MS = 200;
/** Lines that one attempt may log, and characters of each. */
const MOST_LINES = 1_000;
const LINE_CHARS = 2_000;
const NOTE_CHARS = 256;

export interface Voice {
  progress(percent: number, note?: string): void;
  log(line: string): void;
  /** What was not passed on yet; called once, when the run ends. */
  rest(): Told | undefined;
}

/** Takes each progress at once. It is called as often as the handler tells. */
export type KeepProgress = (percent: number, note: string | undefined) => void;

/**
 * @param tell passes something on to the main thread
 */
export function createVoice(
  { queue, id, claim }: Job,
  tell: (told: Told) => void,
  keep: KeepProgress,
): Voice {
  let progress: Told['progress'];
  let logged = 0;
  let toldAt = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  let ended = false;

  /** The progress that was not passed on yet, and a line, if there is one. */
  function take(lines: readonly string[]): Told {
    clearTimeout(timer);
    timer = undefined;
    const told = { queue, id, claim, progress, lines };
    progress = undefined;
    toldAt = performance.now();
    return told;
  }

  function passProgress(): void {
    if (!ended && progress) tell(take([]));
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
      const sinceMs = performance.now() - toldAt;
      if (sinceMs >= TELL_EVERY_MS) passProgress();
      else timer ??= setTimeout(passProgress, TELL_EVERY_MS - sinceMs).unref();
    },

    log(line) {
      if (ended) return;
      logged += 1;
      if (logged <= MOST_LINES) tell(take([toLine(line, LINE_CHARS)]));
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
