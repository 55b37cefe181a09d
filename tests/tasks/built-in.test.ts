import { expect, test } from 'vitest';
import { createAdd } from '../../src/tasks/add.ts';
import { createMultiply } from '../../src/tasks/multiply.ts';
import { checkInput } from '../../src/tasks/input-schema.ts';
import { PermanentError } from '../../src/tasks/permanent-error.ts';
import { createSubtract } from '../../src/tasks/subtract.ts';
import { contextOf } from '../support/context.ts';
import { expectBelow, msOf } from '../support/expect-below.ts';

const MAX = 2 ** 31 - 1;
const MIN = -(2 ** 31);
const tasks = { add: createAdd(0), subtract: createSubtract(0), multiply: createMultiply(0) };

function run(type: keyof typeof tasks, one: number, two: number): unknown {
  return tasks[type].run({ one, two }, contextOf(type));
}

test.each([
  ['add', 1, 2, 3],
  ['add', MAX, MIN, -1],
  ['add', MAX, 0, MAX],
  ['subtract', 1, 2, -1],
  ['subtract', MIN, 0, MIN],
  ['subtract', -1, MIN, MAX],
  ['multiply', -3, 4, -12],
  ['multiply', 65_536, -32_768, MIN],
  ['multiply', MAX, 1, MAX],
] as const)('%s %d %d = %d', (type, one, two, result) => {
  expect(run(type, one, two)).toBe(result);
});

test.each([
  ['add', MAX, 1, '2147483648'],
  ['add', MIN, -1, '-2147483649'],
  ['subtract', MIN, 1, '-2147483649'],
  ['subtract', MAX, MIN, '4294967295'],
  ['multiply', 65_536, 32_768, '2147483648'],
  ['multiply', MIN, MIN, '4611686018427388000'],
] as const)('%s %d %d does not fit into 32 bits and fails for good', (type, one, two, result) => {
  expect(() => run(type, one, two)).toThrow(PermanentError);
  expect(() => run(type, one, two)).toThrow(`the result ${result} does not fit into a 32-bit integer`);
});

test.each([
  [{ one: MIN, two: MAX }, true],
  [{ one: MIN - 1, two: 0 }, false],
  [{ one: 0, two: MAX + 1 }, false],
  [{ one: 0.5, two: 0 }, false],
  [{ one: '1', two: 2 }, false],
  [{ one: Number.NaN, two: 2 }, false],
  [{ one: 1 }, false],
  [{ one: 1, two: 2, three: 3 }, false],
  [[1, 2], false],
  [null, false],
])('%o as input: %s', (value, fits) => {
  for (const { input } of Object.values(tasks))
    expect(checkInput(input, value).issues === undefined).toBe(fits);
});

test('a task blocks its thread for its duration and no longer', async () => {
  await expectBelow(1_000, async () => {
    const took = await msOf(() => void createAdd(60).run({ one: 1, two: 1 }, contextOf('add')));
    expect(took).toBeGreaterThanOrEqual(59);
    return took;
  });
});
