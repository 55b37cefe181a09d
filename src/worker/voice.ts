// How a handler speaks while it runs: progress and log lines, passed on a few times a second however often it calls.

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

/** @param tell passes something on to the main thread */
export function createVoice({ queue, id, claim }: Job, tell: (told: Told) => void): Voice {
  let progress: Told['progress'];
  let lines: string[] = [];
  let logged = 0;
  let toldAt = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  let ended = false;

  function take(): Told | undefined {
    clearTimeout(timer);
    timer = undefined;
    if (!progress && lines.length === 0) return undefined;
    const told = { queue, id, claim, progress, lines };
    progress = undefined;
    lines = [];
    toldAt = performance.now();
    return told;
  }

  function pass(): void {
    const told = ended ? undefined : take();
    if (told) tell(told);
  }

  /** A handler that never yields has no timers: then the clock is looked at. */
  function said(): void {
    const sinceMs = performance.now() - toldAt;
    if (sinceMs >= TELL_EVERY_MS) pass();
    else timer ??= setTimeout(pass, TELL_EVERY_MS - sinceMs).unref();
  }

  return {
    progress(percent, note) {
      if (typeof percent !== 'number' || !(percent >= 0 && percent <= 100)) {
        throw new RangeError('progress takes a percentage from 0 to 100');
      }
      progress = { percent, note: note === undefined ? undefined : toLine(note, NOTE_CHARS) };
      said();
    },

    log(line) {
      logged += 1;
      if (logged > MOST_LINES) return;
      lines.push(toLine(line, LINE_CHARS));
      said();
    },

    rest() {
      if (logged > MOST_LINES) lines.push(`${logged - MOST_LINES} more lines were not kept`);
      ended = true;
      return take();
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
