// A task that is deleted before it has ended is gone for those that need it, and cancelled for those that only count or follow it.

import type { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { decodeTrusted } from '../../src/protocol/cbor.ts';
import { decodeContent, encodeContent } from '../../src/protocol/message.ts';
import { homeOf, keyOf } from '../../src/store/keys.ts';
import { acceptWaiting, needOf } from '../../src/store/needs.ts';
import { createOperations, operate } from '../../src/store/operations.ts';
import { createOperator } from '../../src/store/operator.ts';
import { createOutbox, writeFollower, writeLink } from '../../src/store/outbox.ts';
import { createProducer } from '../../src/store/producer.ts';
import { createRelay } from '../../src/upkeep/relay.ts';
import { createLinks } from '../../src/workflows/links.ts';
import { buildScriptsWithClock } from '../support/model-clock.ts';
import { countsOf, expectBalanced } from '../support/moves.ts';
import { openScriptedQueue, QUEUE } from '../support/scripted-queue.ts';
import { silentLog, startStore } from '../support/store.ts';

const { client } = await startStore(buildScriptsWithClock);
const PLACE = homeOf(QUEUE);

type Clock = Awaited<ReturnType<typeof openScriptedQueue>>['clock'];

/** Each deletes one task that has not ended. */
const WAYS: Readonly<Record<string, (client: Redis, clock: Clock, id: string) => Promise<unknown>>> = {
  'by a call': (one, _clock, id) => createOperator(one).remove(QUEUE, id),
  'by an operation': async (one, clock, id) => {
    const filter = { queue: QUEUE, ids: [id] };
    await createOperations(one).open(clock.newTaskId(), { action: 'delete', filter }, undefined);
    return operate(one, PLACE, 'test', 10);
  },
};

async function relayAll(): Promise<void> {
  const [outbox, links] = [createOutbox(client), createLinks(client)];
  const relay = createRelay({ outbox, producer: createProducer(client), links, log: silentLog });
  relay.soon(PLACE);
  await relay.settled();
  expect(await client.hlen(keyOf(PLACE, 'outbox'))).toBe(0);
}

const CASES = Object.keys(WAYS).flatMap((way) =>
  (
    [
      ['fail', {}],
      ['run', {}],
      ['cancel', {}],
      ['fail', { delayMs: 60_000 }],
    ] as const
  ).map(([policy, extras]) => [way, policy, extras] as const),
);

test.each(CASES)('deleted %s, needed with onNeedFailed %s, accepted with %j', async (way, policy, extras) => {
  const { clock, enqueue, task } = await openScriptedQueue(client);
  const waiting = clock.newTaskId();
  const content = encodeContent('add', {});
  const links = [
    writeLink({ kind: 'need', queue: QUEUE, id: waiting }),
    writeFollower({ queue: QUEUE, lane: 'normal', content }),
  ];
  const [id = ''] = await enqueue(1, { ...extras, follower: links.join(' ') });
  const need = { need: needOf(id, 1), name: 'first' };
  await acceptWaiting(client, QUEUE, [
    { id: waiting, content, lane: 'normal', needs: [need], onNeedFailed: policy },
  ]);
  await WAYS[way]?.(client, clock, id);
  await relayAll();

  const settled = await task(waiting);
  expect(settled?.state).toBe({ fail: 'dead', run: 'ready', cancel: 'cancelled' }[policy]);
  const value =
    (await client.hgetBuffer(keyOf(PLACE, 'need-values'), `${waiting} ${need.need}`)) ?? undefined;
  expect(value?.subarray(0, 5).toString()).toBe('gone ');
  expect(decodeTrusted(value?.subarray(5) ?? Buffer.alloc(0))).toMatchObject({ name: 'NeedGone' });
  if (policy === 'fail')
    expect(decodeTrusted(settled?.error ?? Buffer.alloc(0))).toMatchObject({
      name: 'NeedFailed',
      cause: { name: 'NeedGone' },
    });
  const follower = await client.hgetallBuffer(keyOf(PLACE, 'contents'));
  const causes = Object.values(follower).map((bytes) => decodeContent(bytes).options['cause']);
  expect(causes.filter((cause) => cause !== undefined)).toMatchObject([{ id, state: 'cancelled' }]);
  expect(await countsOf(client, QUEUE)).toMatchObject({ accepted: 3 });
  await expectBalanced(client, QUEUE);
});
