// Members of batches that nobody has confirmed in time.

import type { Redis } from 'ioredis';
import { countOf, memberId, memberMark } from './batches.ts';
import { createInspector } from './inspector.ts';
import { homeOf, placeOf } from './keys.ts';
import { runScript } from './scripts.ts';
import type { UnconfirmedMembers } from './sweeper.ts';

/**
 * Looks for members that were to be accepted a while ago: those that are there are counted, the others are never accepted, and count as
 * cancelled in a batch whose tasks came with it.
 * @returns how many entries were appended to the outbox of the home queue
 * @throws Error of ioredis
 */
export async function confirmMembers(
  client: Redis,
  home: string,
  reservations: readonly UnconfirmedMembers[],
): Promise<number> {
  const inspector = createInspector(client);
  let appended = 0;
  for (const { batch, from, queues } of reservations) {
    const none: number[] = [];
    let number = from;
    for (const [queue, count] of queues) {
      const numbers = Array.from({ length: count }, (_, at) => number + at);
      const ids = numbers.map((one) => memberId(batch, one));
      const args = [memberMark(home, batch), ...ids];
      const found = (await runScript(client, 'void', placeOf(queue, ids[0] ?? ''), args)) as number[];
      for (const [at, one] of numbers.entries()) {
        // It may have gone to another queue meanwhile.
        if (found[at] !== 1 && !(await inspector.task(ids[at] ?? ''))) none.push(one);
      }
      number += count;
    }
    const args = ['give-up', batch, from, countOf(queues), ...none];
    const reply = (await runScript(client, 'batch', homeOf(home), args)) as [Buffer, number];
    appended += reply[1];
  }
  return appended;
}
