// Workflows over HTTP, with a server and a worker inside this process.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { defineTask, PermanentError, v } from '../../src/index.ts';
import type { Server } from '../../src/server/server.ts';
import { toRegistry } from '../../src/tasks/registry.ts';
import { createWorker } from '../../src/worker/worker.ts';
import { eventually } from '../support/eventually.ts';
import { call, post } from '../support/http.ts';
import { countsOf, expectBalanced, startsOf } from '../support/moves.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { silent, startServer } from '../support/server.ts';

/** Steps that fail as long as their names stand here. */
const broken = new Set<string>();
/** Steps that wait until they are let through. */
const gates = new Map<string, Promise<void>>();
function shut(name: string): () => void {
  let open = (): void => undefined;
  gates.set(
    name,
    new Promise((resolve) => {
      open = resolve;
    }),
  );
  return () => {
    gates.delete(name);
    open();
  };
}

const step = defineTask({
  type: 'step',
  input: v.object({ name: v.string(), value: v.optional(v.number(), 0) }),
  runIn: 'inline',
  defaults: { maxAttempts: 1 },
  async run({ name, value }, { needs }) {
    await gates.get(name);
    if (broken.has(name)) throw new PermanentError(`${name} is broken`);
    return { name, value: value + 1, needs };
  },
});
const REGISTRY = toRegistry([{ definition: step, source: 'the test' }]);
const TIMES = { heartbeatMs: 200, leaseMs: 2_000 };

let redis: TestRedis;
let server: Server;
let worker: ReturnType<typeof createWorker>;
let url = '';

beforeAll(async () => {
  redis = await startRedis();
  server = await startServer(redis.url, 65_536, TIMES, { registry: REGISTRY });
  url = `${server.url()}/v1/workflows`;
  await redis.client.sadd('pf:queues', 'default', 'side');
  const connection = silent(redis.url);
  worker = createWorker(
    {
      ...readConfig({}, 1),
      ...TIMES,
      concurrency: 10,
      queues: ['default', 'side'],
      tasks: { taskDurationMs: 0, taskModules: [], baseDir: '/' },
    },
    { connection, registry: REGISTRY, log: connection.log, onStuck: () => undefined },
  );
  await worker.start();
});
afterAll(async () => {
  await worker?.stop();
  await server?.stop();
  await redis?.stop();
});

interface Step {
  readonly step: string;
  readonly task: string;
  readonly state: string;
  readonly result?: unknown;
  readonly error?: { readonly name: string; readonly message: string };
}
interface Workflow {
  readonly id: string;
  readonly state: string;
  readonly generation: number;
  readonly steps: readonly Step[];
  readonly counts: Readonly<Record<string, number>>;
}

const stepOf = (name: string, more: object = {}) => ({ type: 'step', input: { name }, ...more });

async function start(tasks: Readonly<Record<string, object>>, more: object = {}): Promise<string> {
  const { status, body } = await post(url, { tasks, ...more });
  expect([status, body]).toEqual([202, expect.objectContaining({ id: expect.any(String) })]);
  return String(body['id']);
}

async function look(id: string): Promise<Workflow> {
  return (await call(`${url}/${id}`)).body as unknown as Workflow;
}

async function ended(id: string): Promise<Workflow> {
  return eventually(async () => {
    const flow = await look(id);
    return flow.state !== 'accepting' && flow.state !== 'running' && flow;
  });
}

const statesOf = ({ steps }: Workflow) => Object.fromEntries(steps.map((one) => [one.step, one.state]));

/** Nothing is left to tell, and the counts are those of the rows. */
async function expectQuiet(): Promise<void> {
  for (const queue of ['default', 'side']) {
    const key = (name: string): string => `pf:{${queue}}:${name}`;
    await eventually(async () => (await redis.client.hlen(key('outbox'))) === 0);
    expect(await redis.client.exists(key('pins'), key('outbox-due'), key('unconfirmed'))).toBe(0);
    expect((await countsOf(redis.client, queue))['waiting'] ?? 0).toBe(0);
    await expectBalanced(redis.client, queue);
  }
}

test('steps run in the order of their needs, over two queues, and find what these have brought', async () => {
  const id = await start(
    {
      confirm: stepOf('confirm'),
      prepare: stepOf('prepare', { needs: ['confirm'], queue: 'side' }),
      pack: stepOf('pack', {
        needs: ['confirm'],
        input: { name: 'pack', value: { $from: 'confirm', path: '/value' } },
      }),
      deliver: stepOf('deliver', { needs: ['prepare', 'pack'] }),
    },
    { name: 'order 1' },
  );
  const flow = await ended(id);
  expect(flow).toMatchObject({
    name: 'order 1',
    state: 'succeeded',
    generation: 1,
    counts: { total: 4, ended: 4, succeeded: 4, dead: 0, cancelled: 0 },
  });
  const [confirm, prepare, pack, deliver] = flow.steps;
  expect(pack?.result).toMatchObject({ name: 'pack', value: 2 });
  expect(deliver?.result).toMatchObject({
    needs: {
      prepare: { state: 'succeeded', result: { name: 'prepare', value: 1 } },
      pack: { state: 'succeeded', result: { value: 2 } },
    },
  });
  const starts = await startsOf(redis.client);
  expect(starts.indexOf(confirm?.task ?? '')).toBeLessThan(starts.indexOf(pack?.task ?? ''));
  expect(starts.at(-1)).toBe(deliver?.task);
  expect((await call(`${server.url()}/v1/tasks/${prepare?.task}`)).body).toMatchObject({
    queue: 'side',
    workflow: { id, step: 'prepare' },
  });
  await expectQuiet();
});

test('a failed step: its dependents are dead at once, run, or are cancelled; then it is retried under the same ids', async () => {
  broken.add('b');
  const id = await start({
    a: stepOf('a'),
    b: stepOf('b', { needs: ['a'] }),
    fails: stepOf('fails', { needs: ['b', 'a'] }),
    runs: stepOf('runs', { needs: ['b'], onNeedFailed: 'run' }),
    cancelled: stepOf('cancelled', { needs: ['b'], onNeedFailed: 'cancel' }),
    last: stepOf('last', { needs: ['fails'], queue: 'side' }),
  });
  const flow = await ended(id);
  expect(flow.state).toBe('dead');
  expect(statesOf(flow)).toEqual({
    a: 'succeeded',
    b: 'dead',
    fails: 'dead',
    runs: 'succeeded',
    cancelled: 'cancelled',
    last: 'dead',
  });
  const [a, b, fails, runs] = flow.steps;
  expect(fails?.error).toMatchObject({
    name: 'NeedFailed',
    message: 'the step "b" that it needs is dead: PermanentError: b is broken',
  });
  expect(runs?.result).toMatchObject({ needs: { b: { state: 'dead', error: { message: 'b is broken' } } } });
  // A step is retried with its workflow.
  const alone = await post(`${server.url()}/v1/tasks/${b?.task}/retry`, {});
  expect([alone.status, String(alone.body['detail'])]).toEqual([409, expect.stringContaining(id)]);
  await expectQuiet();

  broken.clear();
  expect((await post(`${url}/${id}/retry`, {})).status).toBe(202);
  const again = await ended(id);
  expect(again).toMatchObject({ state: 'succeeded', generation: 2, counts: { succeeded: 6 } });
  expect(again.steps.map(({ task }) => task)).toEqual(flow.steps.map(({ task }) => task));
  const starts = await startsOf(redis.client);
  const runsOf = (task: string | undefined): number => starts.filter((one) => one === task).length;
  expect([a, b, fails, runs].map((one) => runsOf(one?.task))).toEqual([1, 2, 1, 1]);
  expect((await post(`${url}/${id}/retry`, {})).status).toBe(409);
  await expectQuiet();
});

test('a cancel ends what has not ended; held steps cannot be deleted', async () => {
  const open = shut('slow');
  const id = await start({ slow: stepOf('slow'), next: stepOf('next', { needs: ['slow'] }) });
  const [slow, next] = await eventually(async () => {
    const { steps } = await look(id);
    return steps[0]?.state === 'running' && steps;
  });
  const explained = (await call(`${server.url()}/v1/tasks/${next?.task}/explain`)).body;
  expect(explained['reasons']).toMatchObject([{ code: 'needs-unmet', message: 'It waits for "slow".' }]);
  const remove = await call(`${server.url()}/v1/tasks/${next?.task}`, { method: 'DELETE' });
  expect([remove.status, String(remove.body['detail'])]).toEqual([409, expect.stringContaining(id)]);
  expect((await post(`${url}/${id}/cancel`, {})).status).toBe(202);
  const flow = await ended(id);
  open();
  expect([flow.state, statesOf(flow)]).toEqual(['cancelled', { slow: 'cancelled', next: 'cancelled' }]);
  // It may run again, so no browser may keep this answer.
  const shown = await fetch(`${server.url()}/v1/tasks/${next?.task}`);
  expect(shown.headers.get('cache-control')).toBe('no-store');
  await expectQuiet();
  // Once it has ended they can.
  expect((await call(`${server.url()}/v1/tasks/${slow?.task}`, { method: 'DELETE' })).status).toBe(204);
  // So not all of it can run again.
  expect((await post(`${url}/${id}/retry`, {})).status).toBe(409);
  await expectQuiet();
});

test('a dead step cancels its siblings when that is asked for', async () => {
  const open = shut('slow');
  broken.add('b');
  const id = await start({ slow: stepOf('slow'), b: stepOf('b') }, { cancelSiblings: true });
  const flow = await ended(id);
  open();
  broken.clear();
  expect([flow.state, statesOf(flow)]).toEqual(['dead', { slow: 'cancelled', b: 'dead' }]);
  await expectQuiet();
  // A retry that is refused changes nothing, and tells nobody of another end.
  const [, dead] = flow.steps;
  expect((await call(`${server.url()}/v1/tasks/${dead?.task}`, { method: 'DELETE' })).status).toBe(204);
  const retried = await post(`${url}/${id}/retry`, {});
  expect([retried.status, String(retried.body['detail'])]).toEqual([
    409,
    expect.stringContaining('no longer kept'),
  ]);
  expect(await look(id)).toMatchObject({ state: 'dead', generation: 1 });
});

test.each([
  ['#/tasks/b/needs/0', 'is the name of no step', { b: stepOf('b', { needs: ['x'] }) }],
  ['#/tasks/b/needs/1', 'is named twice', { a: stepOf('a'), b: stepOf('b', { needs: ['a', 'a'] }) }],
  [
    '#/tasks/a/needs',
    'needs itself: a needs b needs a',
    { a: stepOf('a', { needs: ['b'] }), b: stepOf('b', { needs: ['a'] }), c: stepOf('c') },
  ],
  ['#/tasks/a/input/name', 'is missing', { a: { type: 'step', input: {} } }],
  [
    '#/tasks/a/input/value/$from',
    'must be one of the needs of this step',
    { a: stepOf('a', { input: { name: 'a', value: { $from: 'b' } } }), b: stepOf('b') },
  ],
  [
    '#/tasks/b/input/value/path',
    'must be a JSON Pointer',
    {
      a: stepOf('a'),
      b: stepOf('b', { needs: ['a'], input: { name: 'b', value: { $from: 'a', path: '/~2' } } }),
    },
  ],
  ['#/tasks', 'must have a step at least', {}],
  [
    '#/tasks',
    'must have at most 1000 steps',
    Object.fromEntries(Array.from({ length: 1_001 }, (_, at) => [`s${at}`, stepOf('s')])),
  ],
])('a bad graph is refused at %s: %s; nothing is written', async (pointer, detail, tasks) => {
  // Sweeps write samples meanwhile.
  const written = (): Promise<number[]> =>
    Promise.all(
      ['contents', 'workflows', 'workflow-states'].map((name) => redis.client.hlen(`pf:{default}:${name}`)),
    );
  const before = await written();
  const { status, body } = await post(url, { tasks });
  expect([status, body['errors']]).toMatchObject([422, [{ pointer: decodeURIComponent(pointer) }]]);
  expect(JSON.stringify(body['errors'])).toContain(detail);
  expect(await written()).toEqual(before);
});

test('a type that is none is refused with its place', async () => {
  const { status, body } = await post(url, { tasks: { a: stepOf('a'), b: { type: 'none', input: {} } } });
  expect([status, body['errors']]).toMatchObject([404, [{ pointer: '#/tasks/b/type' }]]);
});

test('a reference that leads nowhere ends its step, with the place', async () => {
  const id = await start({
    a: stepOf('a'),
    b: stepOf('b', { needs: ['a'], input: { name: 'b', value: { $from: 'a', path: '/no/such' } } }),
  });
  const flow = await ended(id);
  expect(flow.steps[1]?.error).toMatchObject({
    name: 'PermanentError',
    message: 'the input is not valid at #/value: the result of the step "a" has no /no/such',
  });
  await expectQuiet();
});

test('the same key finds the workflow; another request with it is refused', async () => {
  const tasks = { a: stepOf('a') };
  const id = await start(tasks, { key: 'order-7' });
  const again = await post(url, { tasks, key: 'order-7' });
  expect([again.status, again.body['id']]).toEqual([200, id]);
  expect(again.headers.get('idempotent-replayed')).toBe('true');
  const other = await post(url, { tasks: { a: stepOf('b') }, key: 'order-7' });
  expect([other.status, other.body['code']]).toEqual([422, 'idempotency-key-reused']);
  await ended(id);
  const { items } = (await call(`${url}?limit=2`)).body as { items: Workflow[] };
  expect([items.length, items[0]?.id]).toEqual([2, id]);
  await expectQuiet();
});
