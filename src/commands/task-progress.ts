// Shows on stderr how far one task is, while a person waits for it: a bar at a terminal, else a line now and then.

import cliProgress from 'cli-progress';
import type { ProgressView, TaskEvent } from '../client/shapes.ts';
import { cleaned } from './printer.ts';
import type { Output } from './terminal.ts';

interface TaskProgress {
  show(event: TaskEvent): void;
  end(): void;
}

const LINE_EVERY_MS = 10_000;
const NOTE_CHARS = 60;

/** @param now a steady clock in milliseconds */
export function createTaskProgress(
  stderr: Output,
  now: () => number = () => performance.now(),
): TaskProgress {
  let state = '';
  let progress: ProgressView = { percent: 0 };
  const display = stderr.isTTY ? createBar(stderr) : createLines(stderr, now);
  return {
    show({ name, data }) {
      if (name === 'state') state = data.state;
      else if (name === 'progress') progress = data.progress;
      else if (name === 'snapshot' || name === 'end') {
        state = data.state;
        if (isProgress(data.progress)) progress = data.progress;
      }
      display.show(state, progress);
    },
    end: () => display.end(),
  };
}

interface Display {
  show(state: string, progress: ProgressView): void;
  end(): void;
}

function createBar(stderr: Output): Display {
  const bar = new cliProgress.SingleBar({
    stream: stderr,
    format: '{state} [{bar}] {percentage}% {note}',
    barsize: 24,
    // Changes no setting of the terminal, so that a killed command leaves nothing to restore.
    linewrap: true,
  });
  let isShown = false;
  return {
    show(state, { percent, note = '' }) {
      const payload = { state: cleaned(state).padEnd(9), note: shortNote(note) };
      if (isShown) bar.update(percent, payload);
      else bar.start(100, percent, payload);
      isShown = true;
    },
    end() {
      if (isShown) bar.stop();
    },
  };
}

function createLines(stderr: Output, now: () => number): Display {
  let saidState = '';
  let saidAt = Number.NEGATIVE_INFINITY;
  return {
    show(state, { percent, note = '' }) {
      if (state === saidState && now() - saidAt < LINE_EVERY_MS) return;
      saidState = state;
      saidAt = now();
      stderr.write(
        `${[cleaned(state), percent > 0 ? `${percent}%` : '', shortNote(note)].join(' ').trim()}\n`,
      );
    },
    end: () => undefined,
  };
}

function shortNote(note: string): string {
  const text = cleaned(note);
  return text.length <= NOTE_CHARS ? text : `${text.slice(0, NOTE_CHARS - 1)}…`;
}

function isProgress(value: unknown): value is ProgressView {
  return typeof value === 'object' && value !== null && typeof (value as ProgressView).percent === 'number';
}
