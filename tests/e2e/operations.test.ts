// The server that works on an operation is killed in the middle of it: another one goes on, and nothing is counted twice or left out.

import { expect, test } from 'vitest';
import { encodeCbor } from '../../src/protocol/cbor.ts';
import { encodeContent } from '../../src/protocol/message.ts';
import { newTaskId } from '../../src/protocol/task-id.ts';
import { createConsumer } from '../../src/store/consumer.ts';
import { homeOf } from '../../src/store/keys.ts';
import { createProducer } from '../../src/store/producer.ts';
import type { OperationView } from '../../src/views/operation-view.ts';
import { eventually } from '../support/eventually.ts';
import { call, post } from '../support/http.ts';
import { countsOf, expectBalanced } from '../support/moves.ts';
import { openStage } from '../support/stage.ts';
import { openStore } from '../support/store.ts';

const DEAD = 5_000;
const A_CALL = 500;
const SHORT = { LEASE_MS: '1500', HEARTBEAT_MS: '300' };

test(`${DEAD} dead tasks are deleted by two servers, of which the first is killed`, async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis({ appendonly: 'no' });
  const client = await openStore(redis.url);
  stage.atEnd(async () => client.disconnect());
  const producer = createProducer(client);
  const worker = createConsumer(client, homeOf('default'), 'by-hand', 600_000);
  const content = encodeContent('add', { one: 1, two: 2 });
  const payload = encodeCbor({ name: 'Error', message: 'no' });
  for (let count = 0; count < DEAD; count += A_CALL) {
    const tasks = Array.from({ length: A_CALL }, () => ({
      id: newTaskId(),
      content,
      lane: 'normal' as const,
    }));
    await producer.enqueue('default', tasks);
    const outcomes = (await worker.claim([], A_CALL)).tasks.map(({ id, token }) => {
      return { id, token, contentBytes: content.length, word: 'dead', payload, delayMs: 0 } as const;
    });
    await worker.finish(outcomes, 0);
  }
  const env = { ...SHORT, REDIS_URL: redis.url };
  const first = await stage.role('server', env);
  const body = { action: 'delete', filter: { queue: 'default', state: 'dead' } };
  const { confirm } = (await post(`${first.url()}/v1/operations`, { ...body, dryRun: true })).body;
  const started = await post(`${first.url()}/v1/operations`, { ...body, confirm });
  expect(started.status).toBe(202);
  const path = `/v1/operations/${String(started.body['id'])}`;
  const look = async (url: string): Promise<OperationView> =>
    (await call(`${url}${path}`)).body as unknown as OperationView;
  await eventually(async () => (await look(first.url())).done > 0, 90_000, 5);
  first.signal('SIGKILL');
  await first.exited;
  const doneByFirst = DEAD - Number((await countsOf(client))['dead'] ?? 0);
  expect(doneByFirst).toBeGreaterThan(0);
  expect(doneByFirst).toBeLessThan(DEAD);

  const second = await stage.here('server', env);
  const over = await eventually(async () => {
    const view = await look(second.url());
    return view.state === 'done' && view;
  }, 60_000);
  expect(over).toMatchObject({ matched: DEAD, done: DEAD, skipped: {}, failed: {} });
  expect(await countsOf(client)).toEqual({ accepted: DEAD, removed: DEAD });
  await expectBalanced(client);
  console.info('an operation of two servers', { doneByFirst, ratePerSecond: over.ratePerSecond });
});
