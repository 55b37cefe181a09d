// The voice of a handler: lines are passed on at once, progress a few times a second however often it speaks.

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Job, Told } from '../../src/worker/job.ts';
import { createVoice, type Voice } from '../../src/worker/voice.ts';

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

let told: Told[];
/** Each progress, as it is kept for the case that the thread is ended. */
let kept: unknown[];
let voice: Voice;

function newVoice(): Voice {
  return createVoice(
    job,
    (one) => told.push(one),
    (...progress) => kept.push(progress),
  );
}

beforeEach(() => {
  vi.useFakeTimers();
  told = [];
  kept = [];
  voice = newVoice();
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

function percents(): (number | undefined)[] {
  return told.map(({ progress }) => progress?.percent);
}

test('the first word goes out at once, and says of which run it is', () => {
  voice.progress(5, 'begun');
  const { queue, id, claim } = job;
  expect(told).toEqual([{ queue, id, claim, progress: { percent: 5, note: 'begun' }, lines: [] }]);
});

test('what comes soon after waits, and only its latest progress counts', () => {
  voice.progress(1);
  for (let percent = 2; percent <= 50; percent += 1) voice.progress(percent);
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
    voice.progress(percent);
    skip(10);
  }
  // 1,010 ms in steps of 200 ms.
  expect(told.length).toBeGreaterThanOrEqual(5);
  expect(told.length).toBeLessThanOrEqual(6);
});

test('case 40: each log line is passed on at once, with the latest progress', () => {
  const lines = Array.from({ length: 100 }, (_, nth) => `line ${nth}`);
  voice.progress(1);
  for (const [percent, line] of lines.entries()) {
    voice.progress(percent);
    voice.log(line);
  }
  expect(told.slice(1).map(({ progress, lines: [line] }) => [progress?.percent, line])).toEqual([
    ...lines.entries(),
  ]);
  expect(voice.rest()).toBeUndefined();
});

test('case 40: each progress is kept at once', () => {
  for (let percent = 0; percent <= 100; percent += 1)
    voice.progress(percent, percent === 100 ? 'done' : undefined);
  expect(kept).toHaveLength(101);
  expect(kept.at(-1)).toEqual([100, 'done']);
  voice.rest();
  voice.progress(7);
  expect(kept).toHaveLength(101);
});

test('the rest is what was not passed on; after it nothing is', () => {
  voice.progress(10);
  voice.progress(20);
  expect(voice.rest()).toMatchObject({ progress: { percent: 20 }, lines: [] });
  voice.progress(30);
  voice.log('too late');
  vi.advanceTimersByTime(10 * EVERY_MS);
  expect(percents()).toEqual([10]);
});

test('a run that said nothing more has no rest, one that said nothing at all neither', () => {
  expect(voice.rest()).toBeUndefined();
  const other = newVoice();
  other.log('all of it');
  expect(told).toHaveLength(1);
  expect(other.rest()).toBeUndefined();
});

test('lines beyond the limit are counted, not kept', () => {
  for (let nth = 1; nth <= MOST_LINES + 234; nth += 1) voice.log(`line ${nth}`);
  const lines = [...told, voice.rest()].flatMap((one) => one?.lines ?? []);
  expect(lines).toHaveLength(MOST_LINES + 1);
  expect(lines.slice(-2)).toEqual([`line ${MOST_LINES}`, '234 more lines were not kept']);
});

test('long lines and notes are cut, and whatever is said becomes text', () => {
  voice.log('x'.repeat(5_000));
  voice.progress(1, 'y'.repeat(500));
  voice.log(42 as unknown as string);
  voice.progress(2, { toString: () => 'an object' } as unknown as string);
  const rest = voice.rest();
  expect(told.flatMap(({ lines }) => lines)).toEqual([`${'x'.repeat(1_999)}…`, '42']);
  expect(rest).toMatchObject({ progress: { percent: 2, note: 'an object' } });
  const again = newVoice();
  again.progress(1, 'y'.repeat(500));
  expect(told.at(-1)?.progress?.note).toBe(`${'y'.repeat(255)}…`);
});

test.each([-1, 100.1, Number.NaN, Number.POSITIVE_INFINITY, '50', undefined, null])(
  '%s is no percentage',
  (percent) => {
    expect(() => voice.progress(percent as number)).toThrow(RangeError);
    expect(voice.rest()).toBeUndefined();
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
  for (const one of given) voice.log(one as string);
  voice.progress(1, `${'y'.repeat(254)}😀😀`);
  const { lines = [], progress } = voice.rest() ?? {};
  expect([...told.flatMap((one) => one.lines), ...lines]).toEqual([
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
