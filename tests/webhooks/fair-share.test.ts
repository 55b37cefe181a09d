import { expect, test } from 'vitest';
import { createFairShare } from '../../src/webhooks/fair-share.ts';

test('a receiver that hangs has a quarter of the places, others and quick ones have what they need', () => {
  let time = 0;
  const share = createFairShare(8, () => time);
  const enter = (host: string, count: number) => Array.from({ length: count }, () => share.enter(host));
  // All at once: nobody knows yet that it hangs.
  const hanging = enter('slow', 8);
  expect(hanging).not.toContain(undefined);
  time = 2_001;
  expect(share.enter('slow')).toBeUndefined();
  expect(enter('quick', 8)).not.toContain(undefined);
  time = 15_000;
  for (const leave of hanging) leave?.();
  const next = enter('slow', 8);
  expect(next.filter((leave) => leave)).toHaveLength(2);
  // One quick call, and it is trusted again.
  time = 15_010;
  next[0]?.();
  expect(enter('slow', 7)).not.toContain(undefined);
});
