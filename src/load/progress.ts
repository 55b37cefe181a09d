// Shows the progress of a load run: a bar on a terminal, else a line every few seconds.

import cliProgress from 'cli-progress';

/** A stream that may be a terminal. */
export type Output = NodeJS.WritableStream & { readonly isTTY?: boolean };

export interface Progress {
  /** Starts a phase that ends at `total`; `done` is where it begins. */
  begin(phase: string, total: number, done?: number): void;
  show(done: number): void;
  /** Shows a short remark beside the bar, such as why the run waits. */
  note(text: string): void;
  end(): void;
}

const LINE_EVERY_MS = 5_000;
const NOTE_CHARS = 60;

/** `now` is a steady clock in milliseconds. */
export function createProgress(stderr: Output, now: () => number): Progress {
  const counts = '{value}/{total} {percentage}% | {rate}/s | {left} left {note}';
  const bar = new cliProgress.SingleBar({
    stream: stderr,
    format: `{phase} ${stderr.isTTY ? '[{bar}] ' : ''}${counts}`,
    barsize: 24,
    // Changes no setting of the terminal, so that a killed run leaves nothing to restore.
    linewrap: true,
    noTTYOutput: true,
    notTTYSchedule: LINE_EVERY_MS,
  });
  let startedAt = 0;
  let total = 0;
  let doneBefore = 0;
  let note = '';

  const payload = (done: number) => {
    const perSecond = (done - doneBefore) / Math.max(0.001, (now() - startedAt) / 1_000);
    const left = perSecond <= 0 ? '-' : `${Math.ceil((total - done) / perSecond)} s`;
    return { rate: Math.round(perSecond), left, note };
  };
  return {
    begin(phase, phaseTotal, done = 0) {
      startedAt = now();
      total = phaseTotal;
      doneBefore = done;
      note = '';
      bar.start(total, done, { phase: phase.padEnd(8), ...payload(done) });
    },
    show(done) {
      note = '';
      bar.update(done, payload(done));
    },
    note(text) {
      note = text.length <= NOTE_CHARS ? `(${text})` : `(${text.slice(0, NOTE_CHARS - 1)}…)`;
      bar.update({ note });
    },
    end: () => bar.stop(),
  };
}
