import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { STOP_GRACE_MS, StopGrace, StopSource, startDeadline } from '../../src/worker/runners/runner.ts';

let events: string[];

beforeEach(() => {
  vi.useFakeTimers();
  events = [];
});

afterEach(() => vi.useRealTimers());

const run = {
  ask: (reason: string) => void events.push(`ask: ${reason}`),
  force: (reason: string) => void events.push(`force: ${reason}`),
};

test('listeners hear the first reason once, whether they came before or after, and not when they have left', () => {
  const source = new StopSource();
  const heard: string[] = [];
  source.onStop((reason) => heard.push(`before: ${reason}`));
  const leave = source.onStop(() => heard.push('left'));
  leave();
  expect(source.reason).toBeUndefined();
  source.stop('timed-out');
  source.stop('cancelled');
  source.onStop((reason) => heard.push(`after: ${reason}`));
  expect(heard).toEqual(['before: timed-out', 'after: timed-out']);
  expect(source.reason).toBe('timed-out');
});

test('a run that shall stop is asked at once, and forced when the grace is over', () => {
  const source = new StopSource();
  const grace = new StopGrace(source, run);
  vi.advanceTimersByTime(STOP_GRACE_MS);
  source.stop('cancelled');
  vi.advanceTimersByTime(STOP_GRACE_MS - 1);
  expect(events).toEqual(['ask: cancelled']);
  vi.advanceTimersByTime(1);
  expect(events).toEqual(['ask: cancelled', 'force: cancelled']);
  expect(grace.end()).toEqual({ reason: 'cancelled', latencyMs: STOP_GRACE_MS });
});

test('a run that ends within the grace is not forced, and one that was not asked has no stop', () => {
  const source = new StopSource();
  const grace = new StopGrace(source, run);
  source.stop('shutting-down');
  vi.advanceTimersByTime(5);
  expect(grace.end()).toEqual({ reason: 'shutting-down', latencyMs: 5 });
  expect(new StopGrace(new StopSource(), run).end()).toBeUndefined();
  vi.advanceTimersByTime(STOP_GRACE_MS);
  expect(events).toEqual(['ask: shutting-down']);
});

test('a run that ends when it is asked is not forced', () => {
  const source = new StopSource();
  const grace = new StopGrace(source, { ask: () => void grace.end(), force: run.force });
  source.stop('cancelled');
  vi.advanceTimersByTime(STOP_GRACE_MS);
  expect([events, grace.asked]).toEqual([[], undefined]);
});

test('a source that has fired before asks at once', () => {
  const source = new StopSource();
  source.stop('timed-out');
  expect(new StopGrace(source, run).asked?.reason).toBe('timed-out');
  expect(events).toEqual(['ask: timed-out']);
});

test('a deadline counts the time that the run has run, not the time that has passed', () => {
  const source = new StopSource();
  let ranMs = 0;
  startDeadline(100, source, () => ranMs);
  vi.advanceTimersByTime(100);
  expect(source.reason).toBeUndefined();
  ranMs = 60;
  vi.advanceTimersByTime(100);
  expect(source.reason).toBeUndefined();
  ranMs = 100;
  vi.advanceTimersByTime(40);
  expect(source.reason).toBe('timed-out');
});

test('a deadline that was taken back does not stop the run', () => {
  const source = new StopSource();
  startDeadline(100, source, () => 100)();
  vi.advanceTimersByTime(200);
  expect(source.reason).toBeUndefined();
});
