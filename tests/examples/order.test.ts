// The example of an order: a workflow in which a person approves it, or does not, and each step is done once.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { call, post } from '../support/http.ts';
import { look } from '../support/life.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { type RoleHere, startHere, stopHere } from '../support/start-here.ts';

const exampleOf = (name: string): string =>
  fileURLToPath(new URL(`../../examples/order/${name}`, import.meta.url));
const TASKS = exampleOf('order.mjs');

interface Order {
  readonly name: string;
  readonly tasks: Readonly<Record<string, { readonly input: object }>>;
}
const ORDER = JSON.parse(readFileSync(exampleOf('order.json'), 'utf8')) as Order;

interface Flow {
  readonly id: string;
  readonly state: string;
  readonly steps: readonly { readonly step: string; readonly task: string; readonly result?: unknown }[];
}

let redis: TestRedis;
let server: RoleHere;
let worker: RoleHere;
let url: string;

beforeAll(async () => {
  redis = await startRedis();
  const variables = { TASKS, REDIS_URL: redis.url };
  [server, worker] = await Promise.all([startHere('server', variables), startHere('worker', variables)]);
  url = server.url();
});
afterAll(async () => {
  await stopHere(worker);
  await stopHere(server);
  await redis?.stop();
});

async function start(workflow: object): Promise<Flow> {
  const { status, body } = await post(`${url}/v1/workflows`, workflow);
  expect([status, body]).toMatchObject([202, {}]);
  return body as unknown as Flow;
}

async function resultsOf(id: string): Promise<readonly [string, Readonly<Record<string, unknown>>]> {
  const { body } = await call(`${url}/v1/workflows/${id}?wait=50`);
  const { state, steps } = body as unknown as Flow;
  return [state, Object.fromEntries(steps.map(({ step, result }) => [step, result]))];
}

const taskOf = ({ steps }: Flow, name: string): string => steps.find(({ step }) => step === name)?.task ?? '';

test('an order that a person approves is prepared and delivered', async () => {
  const flow = await start(ORDER);
  const approve = taskOf(flow, 'approve');
  // It needs no slot meanwhile.
  await eventually(async () => (await redis.client.hexists('pf:{default}:waits', approve)) === 1);
  expect(await look(url, approve)).toMatchObject({ state: 'waiting' });
  const payload = { approved: true, by: 'ann' };
  expect((await post(`${url}/v1/waitpoints/${approve}.approval`, { payload })).status).toBe(200);
  expect(await resultsOf(flow.id)).toEqual([
    'succeeded',
    {
      confirm: 'A1 is confirmed',
      approve: { by: 'ann' },
      prepare: 'A1 is packed',
      deliver: 'A1 is on its way, as ann wanted',
      settle: { delivered: true },
    },
  ]);
});

test.each([
  ['that is refused', {}, { approved: false }, 'it was refused'],
  ['that nobody approves in time', { withinMs: 1 }, undefined, 'nobody approved it in time'],
])('an order %s is taken back', async (_, more, payload, reason) => {
  const { approve, ...others } = ORDER.tasks;
  const changed = { ...approve, input: { ...approve?.input, ...more } };
  const flow = await start({ ...ORDER, tasks: { ...others, approve: changed } });
  if (payload !== undefined) {
    const token = `${taskOf(flow, 'approve')}.approval`;
    await eventually(async () => (await post(`${url}/v1/waitpoints/${token}`, { payload })).status === 200);
  }
  const [state, { settle, ...results }] = await resultsOf(flow.id);
  expect([state, results]).toEqual(['dead', { confirm: 'A1 is confirmed' }]);
  expect(settle).toEqual({
    delivered: false,
    reason: expect.stringContaining('PermanentError'),
    done: 'A1 is back on its shelf',
  });
  const approval = await look(url, taskOf(flow, 'approve'));
  expect(approval.error).toMatchObject({ message: reason });
});
