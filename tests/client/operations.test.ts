// The calls of the client beside the operations of the document.

import { expect, test } from 'vitest';
import type { Popfleet } from '../../src/client/popfleet.ts';
import { homeOf, keyOf } from '../../src/store/keys.ts';
import { call } from '../support/http.ts';
import { watchedClient } from '../support/watched-client.ts';
import { withServer } from '../support/with-server.ts';

const server = withServer();
const sum = { one: 1, two: 2 };
const endpoint = { url: 'https://example.org/hook' };
const operation = { action: 'retry', filter: { queue: 'q' } } as const;

/** Operations that the client does not call, and why. */
const NOT_CALLED: Readonly<Record<string, string>> = {
  sendTaskByPath: 'enqueue does the same',
  signIn: 'a page signs in; a client has its key',
  signOut: 'a page signs out',
  getHealth: 'for probes of a platform',
  getMetrics: 'for Prometheus',
  getDocument: 'the client has its types',
  getProblem: 'for people, who follow the address of a problem',
};

/** What each call takes last. */
interface Options {
  readonly signal?: AbortSignal;
}

/** The calls of each operation. */
const CALLS: Readonly<
  Record<string, readonly ((client: Popfleet, options: Options) => Promise<unknown> | AsyncGenerator)[]>
> = {
  sendTask: [
    (client, options) => client.enqueue('add', sum, options),
    (client, options) => client.run('add', sum, options),
  ],
  sendTasks: [(client, options) => client.enqueueMany([{ type: 'add', input: sum }], options)],
  checkTask: [(client, options) => client.check('add', sum, options)],
  getTask: [(client, options) => client.get('x', options), (client, options) => client.wait('x', options)],
  getTaskLog: [(client, options) => client.log('x', options)],
  explainTask: [(client, options) => client.explain('x', options)],
  cancelTask: [(client, options) => client.cancel('x', options)],
  retryTask: [(client, options) => client.retry('x', options)],
  deleteTask: [(client, options) => client.remove('x', options)],
  listTasks: [(client, options) => client.list(options)],
  streamTaskEvents: [(client, options) => client.events('x', options)],
  streamEvents: [
    (client, options) => client.follow(options),
    (client, options) => client.operations.follow('x', options),
  ],
  completeWaitpoint: [(client, options) => client.waitpoints.complete('x', 1, options)],
  startWorkflow: [
    (client, options) => client.workflows.start({ tasks: { a: { type: 'add', input: sum } } }, options),
  ],
  getWorkflow: [
    (client, options) => client.workflows.get('x', options),
    (client, options) => client.workflows.wait('x', options),
  ],
  listWorkflows: [(client, options) => client.workflows.list(options)],
  cancelWorkflow: [(client, options) => client.workflows.cancel('x', options)],
  retryWorkflow: [(client, options) => client.workflows.retry('x', options)],
  openBatch: [(client, options) => client.batches.open({}, options)],
  addToBatch: [(client, options) => client.batches.add('x', [], options)],
  closeBatch: [(client, options) => client.batches.close('x', options)],
  getBatch: [
    (client, options) => client.batches.get('x', options),
    (client, options) => client.batches.wait('x', options),
  ],
  listFailedOfBatch: [(client, options) => client.batches.failed('x', options)],
  listBatches: [(client, options) => client.batches.list(options)],
  listErrors: [(client, options) => client.deadLetters.list(options)],
  getError: [(client, options) => client.deadLetters.get('x', options)],
  ignoreError: [(client, options) => client.deadLetters.ignore('x', options)],
  heedError: [(client, options) => client.deadLetters.heed('x', options)],
  listQueues: [(client, options) => client.queues.list(options)],
  getLedger: [(client, options) => client.queues.ledger('q', options)],
  getSeries: [(client, options) => client.queues.series(options)],
  getScale: [(client, options) => client.queues.scale(options)],
  getQueue: [(client, options) => client.queues.get('q', options)],
  pauseQueue: [(client, options) => client.queues.pause('q', options)],
  resumeQueue: [(client, options) => client.queues.resume('q', options)],
  checkSchedule: [(client, options) => client.schedules.check({ type: 'add', cron: '@daily' }, options)],
  listSchedules: [(client, options) => client.schedules.list(options)],
  getSchedule: [(client, options) => client.schedules.get('x', options)],
  putSchedule: [(client, options) => client.schedules.put('x', { type: 'add', cron: '@daily' }, options)],
  pauseSchedule: [(client, options) => client.schedules.pause('x', options)],
  resumeSchedule: [(client, options) => client.schedules.resume('x', options)],
  runSchedule: [(client, options) => client.schedules.run('x', options)],
  deleteSchedule: [(client, options) => client.schedules.remove('x', options)],
  startOperation: [
    (client, options) => client.operations.match(operation, options),
    (client, options) => client.operations.start(operation, 'c', options),
  ],
  getOperation: [(client, options) => client.operations.get('x', options)],
  listOperations: [(client, options) => client.operations.list(options)],
  cancelOperation: [(client, options) => client.operations.cancel('x', options)],
  listWebhooks: [(client, options) => client.webhooks.list(options)],
  addWebhook: [(client, options) => client.webhooks.add(endpoint, options)],
  getWebhook: [(client, options) => client.webhooks.get('x', options)],
  putWebhook: [(client, options) => client.webhooks.put('x', endpoint, options)],
  deleteWebhook: [(client, options) => client.webhooks.remove('x', options)],
  rotateWebhookSecret: [(client, options) => client.webhooks.rotate('x', options)],
  listWebhookDeliveries: [(client, options) => client.webhooks.attempts('x', options)],
  testWebhook: [(client, options) => client.webhooks.test('x', options)],
  resendWebhook: [(client, options) => client.webhooks.resend('x', 'd', options)],
  getSharedWebhookSecret: [(client, options) => client.webhooks.sharedSecrets(options)],
  rotateSharedWebhookSecret: [(client, options) => client.webhooks.rotateSharedSecret(options)],
  listWorkers: [
    (client, options) => client.fleet.workers(options),
    (client, options) => client.fleet.lost(options),
  ],
  getWorker: [(client, options) => client.fleet.worker('w', options)],
  quietWorker: [(client, options) => client.fleet.quiet('w', options)],
  resumeWorker: [(client, options) => client.fleet.resume('w', options)],
  stopWorker: [(client, options) => client.fleet.stop('w', options)],
  listTypes: [(client, options) => client.fleet.types(options)],
  getTypeRuns: [(client, options) => client.fleet.typeRuns(options)],
  getSystem: [(client, options) => client.fleet.system(options)],
  listAudit: [(client, options) => client.audit.list(options)],
  getReadiness: [(client, options) => client.fleet.readiness(options)],
  getSession: [(client, options) => client.fleet.caller(options)],
};

/** What comes of a call, or of the first step of one that yields. */
async function outcomeOf(made: Promise<unknown> | AsyncGenerator): Promise<unknown> {
  return 'next' in made ? made.next() : made;
}

const ALL_CALLS = Object.entries(CALLS).flatMap(([id, calls]) => calls.map((make) => ({ id, make })));
const notFound = () => Response.json({ code: 'not-found', title: 'x', detail: 'x' }, { status: 404 });

async function readOperations() {
  const { paths } = (await call(`${server.url()}/openapi.json`)).body as {
    readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly operationId: string }>>>>;
  };
  const operations = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, { operationId }]) => ({ path, method, operationId })),
  );
  // `/v1/webhooks/secret` before `/v1/webhooks/{id}`.
  return operations.sort((one, other) => one.path.split('{').length - other.path.split('{').length);
}

test('the client has a call for each operation, or a reason for none', async () => {
  const ids = (await readOperations()).map(({ operationId }) => operationId);
  expect([...Object.keys(CALLS), ...Object.keys(NOT_CALLED)].sort()).toEqual(ids.sort());
});

test('each call is the request of its operation', async () => {
  const operations = await readOperations();
  for (const { id, make } of ALL_CALLS) {
    const { client, requests } = watchedClient(server.url(), notFound);
    await outcomeOf(make(client, {})).catch(() => undefined);
    const [{ method, path } = { method: '', path: '' }] = requests;
    const meant = operations.find(
      (one) =>
        one.method.toUpperCase() === method &&
        new RegExp(`^${one.path.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path),
    );
    expect(meant?.operationId, `${method} ${path}`).toBe(id);
  }
});

test('each call takes a signal in its options', async () => {
  const { client } = watchedClient(server.url(), notFound);
  const signal = AbortSignal.abort(new Error('enough'));
  for (const { id, make } of ALL_CALLS)
    await expect(outcomeOf(make(client, { signal })), id).rejects.toThrow('enough');
});

test('what a server answers of the fleet, its queues and schedules comes as it is', async () => {
  const { client } = watchedClient(server.url());
  await client.enqueue('add', sum, { queue: 'tour', delayMs: 60_000 });
  await client.enqueue('add', sum, { queue: 'tour' });
  const worker = server.worker();
  await worker.end(await worker.take('tour'), 'succeeded', 3);
  await client.queues.pause('tour', { reason: 'a test' });
  expect(await client.queues.ledger('tour')).toMatchObject({ queue: 'tour', imbalance: 0 });
  const lostAt = Date.now();
  await server.redis().client.hset(keyOf(homeOf('tour'), 'lost'), 'gone', `${lostAt} 2 `);
  expect(await client.fleet.lost()).toEqual([
    { worker: 'gone', queue: 'tour', leaseUntil: new Date(lostAt).toISOString(), held: 2 },
  ]);
  const scale = await client.queues.scale({ queue: 'tour', min: 2 });
  expect(scale).toMatchObject([{ queue: 'tour', suggestedWorkers: 2 }]);
  expect((await client.queues.scale()).map(({ queue }) => queue)).toContain('tour');
  expect(await client.queues.series({ queue: 'tour', range: '1h' })).toMatchObject({
    range: '1h',
    queues: 1,
    accepted: expect.any(Array),
  });
  expect(await client.fleet.typeRuns({ queue: 'tour' })).toEqual([]);
  expect(await client.fleet.system()).toMatchObject({
    server: { pid: process.pid },
    redis: { role: 'master' },
  });
  expect(await client.fleet.caller()).toMatchObject({ scopes: expect.arrayContaining(['admin']) });
  expect(await client.schedules.check({ type: 'add', input: sum, cron: '@daily' })).toMatchObject({
    type: 'add',
    queue: 'default',
    next: expect.any(Array),
  });
  await expect(client.schedules.check({ type: 'add', input: sum, cron: 'x' })).rejects.toMatchObject({
    code: 'invalid-input',
  });
  const [secret] = await client.webhooks.sharedSecrets();
  const rotated = await client.webhooks.rotateSharedSecret();
  expect(rotated).toMatchObject([{}, { secret: secret?.secret, until: expect.any(String) }]);
  const changes = [];
  for await (const { operation: id, queue } of client.audit.list({ queue: 'tour' }))
    changes.push([id, queue]);
  expect(changes).toEqual([['pauseQueue', 'tour']]);
});
