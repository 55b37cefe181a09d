// The reporter of a handler: lines are passed on at once, progress a few times a second however often it speaks.

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Job, Report } from '../../src/worker/runners/runner.ts';
import { createReporter, type Reporter } from '../../src/worker/runners/reporter.ts';

const EVERY_MS = 200;
const MOST_LINES = 1_000;

const job: Job = {
  queue: 'default',
  id: '01890000-0000-7000-8000-000000000000',
  type: 'tiny',
  claim: 4,
  content: new Uint8Array(),
  attempt: 2,
  timeoutMs: undefined,
};

let reports: Report[];
/** Each progress, as it is kept for the case that the thread is ended. */
let kept: unknown[];
let reporter: Reporter;

function newReporter(): Reporter {
  return createReporter(
    job,
    (one) => reports.push(one),
    (...progress) => kept.push(progress),
  );
}

beforeEach(() => {
  vi.useFakeTimers();
  reports = [];
  kept = [];
  reporter = newReporter();
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

function percents(): (number | undefined)[] {
  return reports.map(({ progress }) => progress?.percent);
}

test('the first word goes out at once, and says of which run it is', () => {
  reporter.progress(5, 'begun');
  const { queue, id, claim } = job;
  expect(reports).toEqual([{ queue, id, claim, progress: { percent: 5, note: 'begun' }, lines: [] }]);
});

test('what comes soon after waits, and only its latest progress counts', () => {
  reporter.progress(1);
  for (let percent = 2; percent <= 50; percent += 1) reporter.progress(percent);
  expect(percents()).toEqual([1]);
  vi.advanceTimersByTime(EVERY_MS - 1);
  expect(percents()).toEqual([1]);
  vi.advanceTimersByTime(1);
  expect(percents()).toEqual([1, 50]);
  vi.advanceTimersByTime(10 * EVERY_MS);
  expect(percents()).toEqual([1, 50]);
});

test('a handler that never yields, so that no timer fires, is heard as well', () => {
  for (let percent = 0; percent <= 100; percent += 1) {
    reporter.progress(percent);
    skip(10);
  }
  // 1,010 ms in steps of 200 ms.
  expect(reports.length).toBeGreaterThanOrEqual(5);
  expect(reports.length).toBeLessThanOrEqual(6);
});

test('case 40: each log line is passed on at once, with the latest progress', () => {
  const lines = Array.from({ length: 100 }, (_, nth) => `line ${nth}`);
  reporter.progress(1);
  for (const [percent, line] of lines.entries()) {
    reporter.progress(percent);
    reporter.log(line);
  }
  expect(reports.slice(1).map(({ progress, lines: [line] }) => [progress?.percent, line])).toEqual([
    ...lines.entries(),
  ]);
  expect(reporter.rest()).toBeUndefined();
});

test('case 40: each progress is kept at once', () => {
  for (let percent = 0; percent <= 100; percent += 1)
    reporter.progress(percent, percent === 100 ? 'done' : undefined);
  expect(kept).toHaveLength(101);
  expect(kept.at(-1)).toEqual([100, 'done']);
  reporter.rest();
  reporter.progress(7);
  expect(kept).toHaveLength(101);
});

test('the rest is what was not passed on; after it nothing is', () => {
  reporter.progress(10);
  reporter.progress(20);
  expect(reporter.rest()).toMatchObject({ progress: { percent: 20 }, lines: [] });
  reporter.progress(30);
  reporter.log('too late');
  vi.advanceTimersByTime(10 * EVERY_MS);
  expect(percents()).toEqual([10]);
});

test('a run that said nothing more has no rest, one that said nothing at all neither', () => {
  expect(reporter.rest()).toBeUndefined();
  const other = newReporter();
  other.log('all of it');
  expect(reports).toHaveLength(1);
  expect(other.rest()).toBeUndefined();
});

test('lines beyond the limit are counted, not kept', () => {
  for (let nth = 1; nth <= MOST_LINES + 234; nth += 1) reporter.log(`line ${nth}`);
  const lines = [...reports, reporter.rest()].flatMap((one) => one?.lines ?? []);
  expect(lines).toHaveLength(MOST_LINES + 1);
  expect(lines.slice(-2)).toEqual([`line ${MOST_LINES}`, '234 more lines were not kept']);
});

test('long lines and notes are cut, and whatever is said becomes text', () => {
  reporter.log('x'.repeat(5_000));
  reporter.progress(1, 'y'.repeat(500));
  reporter.log(42 as unknown as string);
  reporter.progress(2, { toString: () => 'an object' } as unknown as string);
  const rest = reporter.rest();
  expect(reports.flatMap(({ lines }) => lines)).toEqual([`${'x'.repeat(1_999)}…`, '42']);
  expect(rest).toMatchObject({ progress: { percent: 2, note: 'an object' } });
  const again = newReporter();
  again.progress(1, 'y'.repeat(500));
  expect(reports.at(-1)?.progress?.note).toBe(`${'y'.repeat(255)}…`);
});

test.each([-1, 100.1, Number.NaN, Number.POSITIVE_INFINITY, '50', undefined, null])(
  '%s is no percentage',
  (percent) => {
    expect(() => reporter.progress(percent as number)).toThrow(RangeError);
    expect(reporter.rest()).toBeUndefined();
  },
);

/** Moves the clock without firing timers, as for a thread that does not yield. */
function skip(ms: number): void {
  const now = performance.now() + ms;
  vi.spyOn(performance, 'now').mockReturnValue(now);
}

test('case 42: notes and lines of anything are text that can be kept', () => {
  class User {
    readonly password = 'hidden';
    toJSON(): object {
      return { name: 'Ada' };
    }
  }
  const hostile = new Proxy(
    {},
    {
      get() {
        throw new Error('no');
      },
    },
  );
  const given: unknown[] = [
    'half \ud83d',
    { at: new Date(0) },
    new User(),
    new Map(),
    5n,
    undefined,
    hostile,
  ];
  for (const one of given) reporter.log(one as string);
  reporter.progress(1, `${'y'.repeat(254)}😀😀`);
  const { lines = [], progress } = reporter.rest() ?? {};
  expect([...reports.flatMap((one) => one.lines), ...lines]).toEqual([
    'half \ufffd',
    '{"at":"1970-01-01T00:00:00.000Z"}',
    '{"name":"Ada"}',
    '[object Map]',
    '5',
    'undefined',
    'a value that cannot be read',
  ]);
  expect(progress?.note).toBe(`${'y'.repeat(254)}\ufffd…`);
});
