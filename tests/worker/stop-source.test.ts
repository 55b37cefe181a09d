import { expect, test } from 'vitest';
import { StopSource } from '../../src/worker/runners/stop-source.ts';

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
