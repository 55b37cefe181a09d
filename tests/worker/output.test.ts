// What handlers write, cut into lines.

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { captureStreams, OutputBudget, OutputLines, type Written } from '../../src/worker/runners/output.ts';

let lines: string[];
let kept: string;
let output: OutputLines;

const sink = (written: Written): void =>
  void lines.push('dropped' in written ? `dropped ${written.dropped}` : `${written.stream}: ${written.line}`);

beforeEach(() => {
  vi.useFakeTimers();
  lines = [];
  kept = '';
  output = new OutputLines(sink, new OutputBudget(), {
    keep: (text) => void (kept += text),
    passedOn: () => void (kept = ''),
  });
});

afterEach(() => {
  vi.useRealTimers();
});

test('case 18: text becomes lines, however it comes', () => {
  output.write('stdout', 'one\ntwo\r\nthr');
  output.write('stderr', 'aside\n');
  output.write('stdout', Buffer.from('ee\n'));
  const emoji = Buffer.from('😀\n');
  output.write('stdout', emoji.subarray(0, 2));
  output.write('stdout', emoji.subarray(2));
  expect(lines).toEqual(['stdout: one', 'stdout: two', 'stderr: aside', 'stdout: three', 'stdout: 😀']);
});

test('case 18: a line without an end is passed on at the end, or after a second', () => {
  output.write('stdout', 'half');
  expect({ lines, kept }).toEqual({ lines: [], kept: 'half' });
  output.flush();
  expect({ lines, kept }).toEqual({ lines: ['stdout: half'], kept: '' });
  output.write('stderr', '...');
  vi.advanceTimersByTime(1_000);
  expect(lines).toEqual(['stdout: half', 'stderr: ...']);
});

test('case 18: a long line is cut into several, nothing of it is lost', () => {
  const long = Array.from({ length: 3_000 }, (_, at) => `${at} `).join('');
  output.write('stdout', `${long}\n`);
  output.write('stdout', long);
  output.flush();
  const text = lines.map((line) => line.slice('stdout: '.length));
  expect(Math.max(...text.map((line) => line.length))).toBeLessThanOrEqual(4_000);
  expect(text.join('')).toBe(long + long);
});

test('case 18: of a flood so many lines a second are passed on, the others are counted and the last ones kept', () => {
  for (let nth = 0; nth < 100_000; nth += 1) output.write('stdout', `line ${nth}\n`);
  // The clock stands still.
  expect(lines).toHaveLength(500);
  output.flush();
  const dropped = lines.flatMap((line) => /^dropped (\d+)$/.exec(line)?.[1] ?? []).map(Number);
  expect(dropped.length).toBeGreaterThan(0);
  expect(lines.at(-1)).toBe('stdout: line 99999');
  const all = lines.filter((line) => line.startsWith('stdout')).length;
  expect(all + dropped.reduce((sum, one) => sum + one, 0)).toBe(100_000);
});

test('case 18: what the memory holds is what was not passed on', () => {
  const budget = { take: () => false } as unknown as OutputBudget;
  let held = '';
  const blocked = new OutputLines(sink, budget, {
    keep: (text) => void (held += text),
    passedOn: () => void (held = ''),
  });
  blocked.write('stdout', 'one\ntwo\nthr');
  blocked.write('stdout', 'ee');
  expect(held).toBe('one\ntwo\nthree');
  blocked.flush();
  expect({ held, lines }).toEqual({ held: '', lines: ['stdout: one', 'stdout: two', 'stdout: three'] });
});

test('case 18: streams are taken over for whom it may concern, and given back', async () => {
  vi.useRealTimers();
  let isMine = true;
  const before = process.stdout.write;
  const restore = captureStreams(() => (isMine ? output : undefined));
  try {
    await new Promise((resolve) => process.stdout.write('68c3a4', 'hex', resolve));
    await new Promise<void>((resolve) => process.stderr.write(Buffer.from('llo\n'), () => resolve()));
    isMine = false;
    process.stdout.write('');
  } finally {
    restore();
  }
  output.flush();
  expect(lines).toEqual(['stderr: llo', 'stdout: hä']);
  expect(process.stdout.write).toBe(before);
});
