import { expect, test } from 'vitest';
import { createTells } from '../../src/worker/tells.ts';

const run = { id: 'a', claim: 1 };
const told = { queue: 'default', ...run, progress: undefined, lines: [] };

test('an answer waits for what was told before it, and only for that of its own run', async () => {
  const tells = createTells();
  tells.begin(run);
  expect(tells.whenHeard(run, 0)).toBeUndefined();
  tells.add(told);
  expect(tells.whenHeard(run, 1)).toBeUndefined();

  let heard = false;
  const waiting = tells.whenHeard(run, 2)?.then(() => {
    heard = true;
  });
  tells.add({ ...told, claim: 2 });
  await new Promise((resolve) => setImmediate(resolve));
  expect(heard).toBe(false);
  tells.add(told);
  await waiting;
  expect(heard).toBe(true);

  // A later run begins to count anew, and nobody waits for one that is over.
  tells.forget(run);
  tells.add(told);
  expect(tells.whenHeard(run, 5)).toBeUndefined();
  tells.begin(run);
  expect(tells.whenHeard(run, 1)).toBeInstanceOf(Promise);
});
