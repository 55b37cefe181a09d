// The rows of the chapter that popfleet re-implements, each seen from outside. Row 10 is in fleet.test.ts.

import { readdirSync, readFileSync } from 'node:fs';
import { decode } from 'cbor-x';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newTaskId } from '../../src/protocol/task-id.ts';
import { foreignMessage } from '../fixtures/foreign-message.ts';
import { eventually } from '../support/eventually.ts';
import { expectBelow } from '../support/expect-below.ts';
import { endAll, type RoleProcess, spawnRole, startRole } from '../support/fleet.ts';
import { call, post } from '../support/http.ts';
import { recordOf } from '../support/records.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startHere, stopHere } from '../support/start-here.ts';

const READY = 'pf:{default}:ready:normal';
const TASK_MS = 150;

let redis: TestRedis;
let server: RoleProcess;
let worker: RoleProcess;

beforeAll(async () => {
  redis = await startRedis();
  const env = { REDIS_URL: redis.url, TASK_DURATION_MS: String(TASK_MS), CONCURRENCY: '2' };
  [server, worker] = await Promise.all([startRole('server', env), startRole('worker', env)]);
});

afterAll(async () => {
  await endAll([server, worker]);
  await redis?.stop();
});

type Task = Record<string, unknown> & { readonly id: string };

async function finished(id: unknown, at: Pick<RoleProcess, 'url'> = server): Promise<Task> {
  return (await call(`${at.url()}/v1/tasks/${String(id)}?wait=20`)).body as Task;
}

async function run(path: string, input: unknown): Promise<Task> {
  const { status, body } = await post(`${server.url()}${path}`, input);
  expect(status).toBe(202);
  return finished(body['id']);
}

function millis(task: Task, from: string, to: string): number {
  return Date.parse(String(task[to])) - Date.parse(String(task[from]));
}

test('row 1: APP_TYPE decides the role, and a role that does not exist stops the program', async () => {
  expect(server.log().every((line) => line['role'] === 'server')).toBe(true);
  expect(worker.log().every((line) => line['role'] === 'worker')).toBe(true);
  // The server runs no task: it has no connection that pops. The worker listens nowhere.
  const clients = await eventually(async () => {
    const list = (await redis.client.client('LIST')) as string;
    const names = [`name=popfleet:${worker.worker()}:feed `, 'name=popfleet:server '];
    return names.every((name) => list.includes(name)) && list;
  });
  expect(clients.match(/:feed /g)).toHaveLength(1);
  expect(worker.url()).toBe('undefined');

  const wrong = spawnRole('manager', { REDIS_URL: redis.url });
  expect(await wrong.exited).toBe(78);
  expect(wrong.errors()).toBe('APP_TYPE: manager app type not supported\n');
});

test('row 2: REDIS_URL names the Redis of both roles', async () => {
  const elsewhere = { REDIS_URL: `${redis.url}/3`, CONCURRENCY: '1' };
  const before = await redis.client.dbsize();
  const pair = await Promise.all([startHere('server', elsewhere), startHere('worker', elsewhere)]);
  try {
    const { body } = await post(`${pair[0].url()}/add`, { one: 1, two: 2 });
    const task = await finished(body['id'], pair[0]);
    expect(task).toMatchObject({ state: 'succeeded', worker: pair[1].worker() });
    expect((await call(`${server.url()}/v1/tasks/${task.id}`)).status).toBe(404);
    expect(await redis.client.dbsize()).toBe(before);
    const keyspace = await redis.client.info('keyspace');
    expect(Number(/db3:keys=(\d+)/.exec(keyspace)?.[1])).toBeGreaterThan(3);
  } finally {
    await stopHere(...pair);
  }
});

test('row 3: server and worker share one definition of a task, so they refuse the same inputs', async () => {
  const wrong = { one: 1, two: 2, three: 3 };
  expect((await post(`${server.url()}/add`, wrong)).status).toBe(422);
  // Past the server, the worker judges with the same schema.
  const id = newTaskId();
  const input = Buffer.from('a3636f6e65016374776f0265746872656503', 'hex');
  expect(decode(input)).toEqual(wrong);
  await redis.client.lpush(READY, foreignMessage(id, 'add', input));
  await eventually(async () => (await call(`${server.url()}/v1/tasks/${id}`)).status === 200);
  expect(await finished(id)).toMatchObject({
    state: 'dead',
    error: { name: 'PermanentError', message: expect.stringMatching(/^the input is not valid at three/) },
  });
});

test('row 4: add, subtract and multiply take their time and answer a 32-bit integer', async () => {
  const tasks = await Promise.all([
    run('/add', { one: 2_000_000_000, two: 147_483_647 }),
    run('/subtract', { one: -2_000_000_000, two: 147_483_648 }),
    run('/multiply', { one: -3, two: 7 }),
  ]);
  expect(tasks.map((task) => task['result'])).toEqual([2_147_483_647, -2_147_483_648, -21]);
  for (const task of tasks) {
    expect(task['state']).toBe('succeeded');
    expect(millis(task, 'startedAt', 'finishedAt')).toBeGreaterThanOrEqual(TASK_MS - 2);
  }
});

test.each([
  ['add', { one: 2_147_483_647, two: 1 }, '2147483648'],
  ['subtract', { one: -2_147_483_648, two: 1 }, '-2147483649'],
  ['multiply', { one: 65_536, two: 65_536 }, '4294967296'],
])('row 4: a result outside 32 bits fails %s for good', async (type, input, result) => {
  const task = await run(`/${type}`, input);
  expect(task).toMatchObject({
    state: 'dead',
    attempt: 1,
    error: { name: 'PermanentError', message: `the result ${result} does not fit into a 32-bit integer` },
  });
});

test('row 5: a message is CBOR of the type and the task', async () => {
  // A queue that nobody serves keeps it.
  const sent = { type: 'add', input: { one: 1, two: 2 }, queue: 'unserved' };
  const id = String((await post(`${server.url()}/v1/tasks`, sent)).body['id']);
  const listed = await redis.client.lindexBuffer('pf:{unserved}:ready:normal', 0);
  expect((decode(listed ?? Buffer.alloc(0)) as unknown[]).slice(0, 3)).toEqual([id, 1, 'add']);
  const stored = (await recordOf(redis.client, 'unserved', id))?.content;
  expect(decode(stored ?? Buffer.alloc(0))).toEqual(['add', { one: 1, two: 2 }]);
});

test('row 6: the URI is the type, slashes around it do not matter, the answer is "task sent"', async () => {
  for (const path of ['/subtract', '//subtract//']) {
    const { status, body } = await post(`${server.url()}${path}`, { one: 1, two: 2 });
    expect([status, body['message'], body['type']]).toEqual([202, 'task sent', 'subtract']);
  }
  const unknown = await post(`${server.url()}/divide`, { one: 1, two: 2 });
  expect([unknown.status, unknown.body['title']]).toEqual([404, 'task not found']);
});

test('row 7: LPUSH to send, BRPOP to take: first in, first out', async () => {
  await redis.client.config('RESETSTAT');
  const sent: string[] = [];
  for (let one = 0; one < 12; one += 1) {
    const task = { type: 'add', input: { one, two: 0 }, queue: 'in-order' };
    sent.push(String((await post(`${server.url()}/v1/tasks`, task)).body['id']));
  }
  const listed = await redis.client.lrangeBuffer('pf:{in-order}:ready:normal', 0, -1);
  const ids = listed.map((message) => message.toString('latin1', 3, 39));
  expect(ids).toEqual(sent.toReversed()); // the newest at the head

  const env = { REDIS_URL: redis.url, QUEUES: 'in-order', CONCURRENCY: '1', TASK_DURATION_MS: '5' };
  const one = await startHere('worker', env);
  try {
    const tasks = await Promise.all(sent.map((id) => finished(id)));
    const started = tasks.map((task) => Date.parse(String(task['startedAt'])));
    expect(started.toSorted((a, b) => a - b)).toEqual(started);
    expect(tasks.every((task) => task['state'] === 'succeeded')).toBe(true);
  } finally {
    await stopHere(one);
  }
  const stats = await redis.client.info('commandstats');
  expect(stats).toMatch(/cmdstat_lpush:calls=/);
  expect(stats).toMatch(/cmdstat_brpop:calls=/);
});

test('row 8: an idle worker has a task at once, because it waits in a blocking pop', async () => {
  await expectBelow(100, async () => {
    const delays: number[] = [];
    for (let sent = 0; sent < 11; sent += 1) {
      await eventually(async () => ((await redis.client.client('LIST')) as string).includes(' cmd=brpop '));
      const task = await run('/add', { one: 1, two: 2 });
      delays.push(millis(task, 'acceptedAt', 'startedAt'));
    }
    return delays.toSorted((a, b) => a - b)[5] ?? Number.NaN;
  });
});

test('row 8: no source of the worker, or of what keeps queues whole, polls or sleeps', () => {
  const folder = new URL('../../src/', import.meta.url);
  const allowed: Record<string, RegExp[]> = {
    // One interval: the heartbeat. Timers of the sweep are set to what is due. Waits follow a failure. The others are limits of
    // a run (its deadline, the grace of a stop, how long it waits for a place), of the end or the start of a thread, or gather
    // what handlers say and how they end: set once a run, or while it speaks.
    'worker/heartbeat.ts': [/timer = setInterval\(beat, everyMs\)/],
    'upkeep/sweep-timer.ts': [/timer = setTimeout\(fire, ms\)/],
    // A server's look at all queues, and ends that share calls.
    'upkeep/sweep-all.ts': [/timer = setTimeout\(\(\) => \{$/],
    'upkeep/relay.ts': [/if \(waitMs > 0 && !isChain\) await delay\(waitMs\)/],
    // Until when Redis has to have heard of what was handed over.
    'worker/hands.ts': [/const timer = setTimeout\(overdue, leftMs\)\.unref\(\)/],
    'worker/fetcher.ts': [/await delay\(retryDelayMs\(failures, /],
    // A queue where something waits, and whose pop has to wait for the slot of another one.
    'worker/spread-fetcher.ts': [
      /await delay\(retryDelayMs\(failures, /,
      /await delay\(FOUND_NOTHING_MS, signal\)/,
    ],
    'worker/until-done.ts': [/await delay\(retryDelayMs\(failures, /],
    'worker/completer.ts': [
      /await delay\(retryDelayMs\(failures, /,
      /timer \?\?= setTimeout\(flush, GATHER_MS\)/,
    ],
    // Between two slices of an operation Redis is there for others; what it watches it looks at a few times a second.
    'upkeep/operate-places.ts': [
      /await delay\(Math\.max\(turn\.waitMs, LEAST_PAUSE_MS, PAUSE_FACTOR \* tookMs\), stopping\.signal\)/,
    ],
    // How long a queue is not asked for more while all threads are taken.
    'worker/thread-room.ts': [/setTimeout\(\(\) => over\(queue\), ms\)/],
    'worker/runners/semaphore.ts': [/timer (?:\?\?)?= setTimeout\(check, /],
    'worker/runners/reporter.ts': [/timer \?\?= setTimeout\(sendProgress, SEND_EVERY_MS - sinceMs\)/],
    'worker/runners/output.ts': [/this\.#timer \?\?= setTimeout\(\(\) => this\.flush\(\), UNENDED_MS\)/],
    'worker/report-writer.ts': [/timer \?\?= setTimeout\(writeNow, FLUSH_EVERY_MS\)/],
    'worker/runners/runner.ts': [
      /this\.#timer = setTimeout\(\(\) => run\.force\(reason\), STOP_GRACE_MS\)/,
      /timer = setTimeout\(\(\) => \{$/,
    ],
    'worker/runners/thread.ts': [
      /setTimeout\(\(\) => this\.#leave\(new Error\('the thread does not end'\)\), GONE_WITHIN_MS\)/,
    ],
    'worker/runners/threads.ts': [/const timer = setTimeout\(\(\) => \{$/],
    'worker/runners/process.ts': [/setTimeout\(\(\) => gone\(\{ code, signal \}\), READ_WITHIN_MS\)/],
    // A pipe that is full: it waits for its reader.
    'worker/runners/process-entry.ts': [
      /Atomics\.wait\(new Int32Array\(new SharedArrayBuffer\(4\)\), 0, 0, 1\)/,
    ],
    // The end of programs that a handler has started and that must go: nothing tells of the end of another's children. Bounded by
    // the grace between SIGTERM and SIGKILL.
    'worker/runners/child-processes.ts': [
      /performance\.now\(\) < deadline\) await delay\(LOOK_AGAIN_MS\)/,
      /await delay\(REAPED_LOOK_MS\)/,
    ],
  };
  const waits = /\b(setInterval|setTimeout|delay|sleep|Atomics\.wait)\(/;
  const files = ['worker', 'upkeep'].flatMap((name) =>
    readdirSync(new URL(name, folder), { recursive: true, encoding: 'utf8' }).map(
      (file) => `${name}/${file}`,
    ),
  );
  expect(files).toEqual(expect.arrayContaining(Object.keys(allowed)));
  for (const file of files.filter((name) => name.endsWith('.ts'))) {
    const lines = readFileSync(new URL(file, folder), 'utf8').split('\n');
    const found = lines.filter((line) => waits.test(line));
    const unknown = found.filter((line) => !(allowed[file] ?? []).some((known) => known.test(line)));
    expect(unknown, file).toEqual([]);
  }
});

test('row 9: the main thread keeps the lease of a task that runs longer than the lease', async () => {
  const queue = 'long';
  const env = {
    REDIS_URL: redis.url,
    QUEUES: queue,
    LEASE_MS: '1200',
    HEARTBEAT_MS: '400',
    CONCURRENCY: '1',
  };
  // The second worker would take the task as soon as the lease of the first ran out.
  const pair = [
    await startHere('worker', { ...env, TASK_DURATION_MS: '3000' }),
    await startHere('worker', { ...env, TASK_DURATION_MS: '3000' }),
  ];
  try {
    const sent = await post(`${server.url()}/v1/tasks`, { type: 'add', input: { one: 1, two: 2 }, queue });
    const task = await finished(sent.body['id']);
    expect(task).toMatchObject({ state: 'succeeded', result: 3, attempt: 1, crashes: 0 });
    expect(millis(task, 'startedAt', 'finishedAt')).toBeGreaterThan(2_900);
    expect((await recordOf(redis.client, queue, task.id))?.claims).toBe(1);
  } finally {
    await stopHere(...pair);
  }
});

test('row 11: compose starts 1 server, 3 workers and 1 Redis, in order, and again on failure', () => {
  const services = composeServices();
  expect(Object.keys(services).toSorted()).toEqual(['redis', 'server', 'worker']);
  const common = readRoot('compose.yaml').split(/^services:/m)[0] ?? '';
  for (const name of ['server', 'worker']) expect(services[name]).toMatch(/<<: \*popfleet/);
  expect(common).toMatch(/^x-popfleet: &popfleet$/m);
  expect(common).toMatch(/depends_on:\n\s+redis:\n\s+condition: service_healthy/);
  expect(common).toMatch(/restart: on-failure/);
  expect(common).toMatch(/dockerfile: Containerfile/);
  // The grace is longer than the 25 s in which tasks may finish.
  expect(Number(/stop_grace_period: (\d+)s/.exec(common)?.[1])).toBeGreaterThan(25);

  expect(services['server']).toMatch(/APP_TYPE: server/);
  expect(services['server']).not.toMatch(/replicas/);
  expect(services['worker']).toMatch(/APP_TYPE: worker/);
  expect(services['worker']).toMatch(/replicas: (3|\$\{WORKERS:-3\})/);
  for (const name of ['server', 'worker']) expect(services[name]).toMatch(/REDIS_URL: redis:\/\/redis:6379/);

  expect(services['redis']).toMatch(/restart: on-failure/);
  expect(services['redis']).toMatch(/healthcheck:\n\s+test: .*redis-cli.*ping/);
  expect(services['redis']).toMatch(/--appendonly, "?yes/);
  expect(services['redis']).toMatch(/--maxmemory-policy, noeviction/);
  expect(services['redis']).not.toMatch(/^\s+ports:/m);
});

test('row 11: one image for both roles, distroless and not root, without development packages', () => {
  const stages = readRoot('Containerfile')
    .split(/^(?=FROM )/m)
    .slice(1);
  const last = stages.at(-1) ?? '';
  expect(stages.length).toBeGreaterThan(1);
  expect(last).toMatch(/^FROM gcr\.io\/distroless\/nodejs\d+-debian\d+:nonroot$/m);
  const user = /^USER (\S+)$/m.exec(last)?.[1] ?? 'nonroot';
  expect(user).not.toMatch(/^(root|0)\b/);
  expect(last).not.toMatch(/^RUN /m); // there is no shell
  expect(last).not.toMatch(/^ENV .*APP_TYPE/m);
  const packages = /COPY --from=(\S+) \S*node_modules/.exec(last)?.[1];
  const source = stages.find(
    (stage) => stage.startsWith('FROM') && new RegExp(` AS ${packages}$`, 'm').test(stage),
  );
  expect(source).toMatch(/npm ci .*--omit=dev/);
});

function readRoot(name: string): string {
  return readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8').replaceAll(/\s+#.*$/gm, '');
}

/** The text of each service. */
function composeServices(): Record<string, string> {
  const section = /^services:\n((?: .*\n|\n)+)/m.exec(readRoot('compose.yaml'))?.[1] ?? '';
  const parts = section.split(/^ {2}(?=\w)/m).slice(1);
  return Object.fromEntries(parts.map((part) => [part.split(':', 1)[0] ?? '', part]));
}
