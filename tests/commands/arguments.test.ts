// Durations, as they are typed and as they are shown.

import { expect, test } from 'vitest';
import { duration, durationText } from '../../src/commands/arguments.ts';

test.each([
  ['1500ms', '1500ms'],
  ['90', '90s'],
  ['60s', '1m'],
  ['90m', '90m'],
  ['48h', '2d'],
])('%s is shown as %s, which is the same time', (typed, shown) => {
  expect(durationText(duration(typed))).toBe(shown);
  expect(duration(shown)).toBe(duration(typed));
});
