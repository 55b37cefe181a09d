// Operations on the command line: what is asked before many tasks are removed, and what is shown of it. And options: what narrows lists,
// what a task is sent with, and how it is retried.

import { once } from 'node:events';
import { createServer } from 'node:http';
import { expect, test } from 'vitest';
import { homeOf, keyOf } from '../../src/store/keys.ts';
import { eventually } from '../support/eventually.ts';
import { post } from '../support/http.ts';
import { type Ended, type InProcess, runCommand } from '../support/command-line.ts';
import { send } from '../support/life.ts';
import { withServer } from '../support/with-server.ts';

const server = withServer();

function popfleet(line: string, options: InProcess = {}): Promise<Ended> {
  return runCommand(line.split(' '), { ...options, env: { POPFLEET_URL: server.url(), ...options.env } });
}

test('a purge wants the name of the queue again, and is an operation that can be looked at', async () => {
  await send(server.url(), 'add', { one: 1, two: 2 }, { queue: 'purged' });
  expect(await popfleet('queue purge purged --yes')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--confirm purged'),
  });
  // Also an error that is none of the API has a code.
  expect(JSON.parse((await popfleet('queue purge purged --json')).stderr)).toMatchObject({
    error: { code: 'usage' },
  });
  const seen = await popfleet('queue purge purged --dry-run');
  expect(seen.stdout).toMatch(/^1 task of purged would be deleted \(about 1 s\), such as [0-9a-f-]{36}\n$/);
  expect((await popfleet('queue purge purged --confirm purged')).stdout).toBe('1 deleted\n');
  const { stdout } = await popfleet('op list --queue purged');
  expect(stdout).toMatch(/^[0-9a-f-]{36}\tdelete\tpurged\tdone\t.*\t1 deleted\n$/);
  const [id = ''] = stdout.split('\t');
  expect(JSON.parse((await popfleet(`op show ${id} --json`)).stdout)).toMatchObject({ id, done: 1 });
  expect((await popfleet(`op cancel ${id}`)).code).toBe(6);
  expect((await popfleet('queue purge purged --confirm purged')).stderr).toContain(
    'No task of purged matches',
  );
});

test('an operation is watched by its events until it is over', async () => {
  const queue = 'watched';
  const task = await send(server.url(), 'add', { one: 1, two: 2 }, { queue });
  await server.worker().take(queue);
  await server.worker().end(task, 'dead', { name: 'Error', message: 'no' });
  const request = { action: 'retry', filter: { queue }, first: 1, stopAfterErrors: 1 };
  const operations = `${server.url()}/v1/operations`;
  const { confirm } = (await post(operations, { ...request, dryRun: true })).body;
  const id = String((await post(operations, { ...request, confirm })).body['id']);
  const watched = popfleet(`op show ${id} --watch`);
  // It follows the operation by now.
  const streams = async (): Promise<string> => (await fetch(`${server.url()}/metrics`)).text();
  await eventually(async () => (await streams()).includes('popfleet_sse_streams 1\n'));
  await popfleet(`op cancel ${id}`);
  expect(await watched).toMatchObject({ code: 1, stdout: expect.stringMatching(/^1 retried/) });
  expect(JSON.parse((await popfleet(`op show ${id} --watch --json`)).stdout)).toMatchObject({
    state: 'cancelled',
  });
});

test('a task has the options that it is sent with', async () => {
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
  const { stdout } = await popfleet(
    `task add add one=1 two=2 --queue options --tag eu --tag vip --expires-at ${expiresAt} --result-ttl 1h --webhook https://example.org/hook --on-end {"type":"add","input":{"one":3,"two":4}}`,
  );
  const shown = await popfleet(`task get ${stdout.trim()} --json`);
  expect(JSON.parse(shown.stdout)).toMatchObject({
    tags: ['eu', 'vip'],
    expiresAt,
    options: { resultTtlMs: 3_600_000 },
    webhooks: [{ url: 'https://example.org/hook' }],
    onEnd: { type: 'add' },
  });
});

test('a retry says whether it begins anew, and with which input', async () => {
  const sent: string[] = [];
  const listening = createServer((request, response) => {
    request.setEncoding('utf8');
    let body = '';
    request.on('data', (chunk: string) => (body += chunk));
    request.on('end', () => {
      sent.push(`${request.url} ${body}`);
      response.writeHead(202, { 'content-type': 'application/json' }).end('{"state":"ready"}');
    });
  }).listen(0, '127.0.0.1');
  await once(listening, 'listening');
  const { port } = listening.address() as { readonly port: number };
  const env = { POPFLEET_URL: `http://127.0.0.1:${port}` };
  expect((await popfleet('task retry a', { env })).stdout).toContain('ready');
  await popfleet('task retry a --from-start', { env });
  await popfleet('task retry a b --input -', { env, stdin: '{"one":5}' });
  expect(sent).toEqual([
    '/v1/tasks/a/retry ',
    '/v1/tasks/a/retry {"fromStart":true}',
    '/v1/tasks/a/retry {"input":{"one":5}}',
    '/v1/tasks/b/retry {"input":{"one":5}}',
  ]);
  listening.close();
  listening.closeAllConnections();
});

test('lists are narrowed by what the API narrows them by', async () => {
  const idOf = (ended: Ended): string => ended.stdout.trim();
  const open = idOf(await popfleet('batch open --name nightly-1'));
  const closed = idOf(await popfleet('batch open --name nightly-2'));
  await popfleet('batch open --name daily');
  expect((await popfleet(`batch close ${closed}`)).code).toBe(0);
  const idsOf = async (line: string): Promise<unknown[]> =>
    (JSON.parse((await popfleet(`${line} --json`)).stdout) as { items: { id: string }[] }).items.map(
      ({ id }) => id,
    );
  expect(await idsOf('batch list --name nightly')).toEqual([closed, open]);
  expect(await idsOf('batch list --name nightly --limit 1')).toEqual([closed]);
  expect(await idsOf('batch list --name nightly --state open')).toEqual([open]);
  expect((await popfleet('batch list --state dead')).stderr).toContain('There are no such batches.');

  for (const queue of ['one', 'two'])
    expect(
      (await popfleet(`schedule set of-${queue} add one=1 two=2 --every 1h --queue ${queue}`)).code,
    ).toBe(0);
  const { stdout } = await popfleet('schedule list --queue two');
  expect(stdout).toMatch(/^of-two\ttwo\t/);
  expect(stdout).not.toContain('of-one');
});

test('a list that goes on says so on stderr, also in a pipe and for programs', async () => {
  const queue = 'long';
  const workflow = {
    tasks: { a: { type: 'add', input: { one: 1, two: 2 }, queue: 'later', delayMs: 3_600_000 } },
  };
  for (const name of ['RangeError', 'TypeError']) {
    await send(server.url(), 'add', { one: 1, two: 2 }, { queue });
    await server.worker().end(await server.worker().take(queue), 'dead', { name, message: 'no' });
    await popfleet('batch open --name long');
    await popfleet('workflow start - --name long', { stdin: JSON.stringify(workflow) });
  }
  for (const verb of ['pause', 'resume']) await popfleet(`queue ${verb} ${queue}`);
  for (const list of [
    'task list --queue long --state dead',
    'dead list --queue long',
    'batch list --name long',
    'workflow list --name long',
    'audit list --queue long',
  ]) {
    for (const how of ['', ' --json']) {
      const cut = await popfleet(`${list} --limit 1${how}`);
      expect(cut, list).toMatchObject({ code: 0, stderr: 'There are more: --limit 10 shows up to 10.\n' });
      const whole = await popfleet(`${list} --limit 2${how}`);
      expect(whole, list).toMatchObject({ code: 0, stderr: '' });
      const rows = ({ stdout }: Ended): number =>
        how === '' ? stdout.trimEnd().split('\n').length : (JSON.parse(stdout) as { items: [] }).items.length;
      expect([rows(cut), rows(whole)], list).toEqual([1, 2]);
    }
  }
});

test('a schedule that is set again goes on, unless it is to be paused', async () => {
  const set = (end: string): Promise<Ended> =>
    popfleet(`schedule set again add one=1 two=2 --every 1h --queue again${end}`);
  expect((await set(' --paused')).stdout).toMatch(/\tevery 1h\tpaused\t/);
  expect((await set('')).stdout).toMatch(/\tevery 1h\tactive\t/);
});

test('why a queue is paused is in its row, and in the status', async () => {
  await send(server.url(), 'add', { one: 1, two: 2 }, { queue: 'shut' });
  const paused = await popfleet('queue pause shut --reason moving');
  expect(paused).toMatchObject({ code: 0, stdout: expect.stringMatching(/^shut\tpaused\t.*\tmoving\n$/) });
  expect((await popfleet('queue list')).stdout).toMatch(/^shut\tpaused\t.*\tmoving$/m);
  expect((await popfleet('status --json')).stdout).toContain('"shut is paused, 1 ready: moving"');
  expect((await popfleet('queue resume shut')).stdout).toMatch(/^shut\topen\t.*\t\n$/);
});

test('workers that were lost of late are told beside those that live', async () => {
  await send(server.url(), 'add', { one: 1, two: 2 }, { queue: 'left' });
  const lostAt = Date.now();
  await server.redis().client.hset(keyOf(homeOf('left'), 'lost'), 'gone', `${lostAt} 1 `);
  const at = new Date(lostAt).toISOString();
  const listed = await popfleet('worker list');
  expect(listed.stderr).toContain(`Lost: gone, of the queue left, at ${at}; 1 task has gone back.`);
  expect(listed.stdout).not.toContain('gone');
  expect(JSON.parse((await popfleet('worker list --json')).stdout)).toMatchObject({
    items: expect.any(Array),
    lost: [{ worker: 'gone', queue: 'left', held: 1 }],
  });
});

test('an endpoint is registered, switched off and on, given another secret, and removed', async () => {
  const options = '--kind batch --kind task --state dead --queue default';
  const added = await popfleet(`webhook add https://example.org/hook ${options}`);
  const [id = '', secret = ''] = added.stdout.trim().split('\t');
  expect(secret).toMatch(/^whsec_/);
  const row = (state: string): unknown =>
    expect.stringContaining(`${id}\thttps://example.org/hook\t${state}\tbatch task\tdead\t\tdefault\t`);
  const outputOf = async (verb: string): Promise<string> => (await popfleet(`webhook ${verb}`)).stdout;
  expect(await outputOf('list')).toEqual(row('active'));
  expect(await outputOf(`disable ${id}`)).toEqual(row('disabled'));
  expect(await outputOf(`show ${id}`)).toEqual(row('disabled'));
  expect(await outputOf(`enable ${id}`)).toEqual(row('active'));
  const rotated = JSON.parse(await outputOf(`rotate ${id} --json`)) as { secret: string };
  expect(rotated).toMatchObject({ id, secret: expect.stringMatching(/^whsec_/) });
  expect(rotated.secret).not.toBe(secret);
  expect((await popfleet(`webhook attempts ${id}`)).stderr).toContain('Nothing was sent');
  expect(await outputOf(`rm ${id}`)).toBe(`${id} is gone\n`);
  expect((await popfleet(`webhook rm ${id}`)).code).toBe(5);
});

test('an endpoint is tested: what came of the call is waited for, and a delivery is sent again', async () => {
  const added = await popfleet('webhook add https://example.org/hook');
  const [id = ''] = added.stdout.split('\t');
  const take = (): Promise<string> =>
    eventually(() =>
      server
        .worker()
        .take('webhooks')
        .catch(() => undefined),
    );

  const tested = popfleet(`webhook test ${id}`);
  const delivery = await take();
  await server.worker().end(delivery, 'succeeded', { status: 204, durationMs: 3 });
  expect(await tested).toMatchObject({ code: 0, stdout: '{"status":204,"durationMs":3}\n' });

  const { stdout } = await popfleet(`webhook resend ${id} ${delivery}`);
  expect(`${await take()}\n`).toBe(stdout);

  const refused = popfleet(`webhook test ${id}`);
  await server.worker().end(await take(), 'dead', { name: 'FailedDelivery', message: 'it answered 500' });
  expect(await refused).toMatchObject({ code: 1, stderr: expect.stringContaining('it answered 500') });
  await popfleet(`webhook rm ${id}`);
});

test('what was changed is listed', async () => {
  await send(server.url(), 'add', { one: 1, two: 2 }, { queue: 'audited' });
  for (const verb of ['pause', 'resume']) await popfleet(`queue ${verb} audited`);
  const list = async (more: string): Promise<string> => (await popfleet(`audit list ${more}`)).stdout;
  expect((await list('--queue audited')).match(/\t(?:pause|resume)Queue\t/g)).toHaveLength(2);
  expect(await list('--queue audited --operation pauseQueue --limit 9')).toMatch(
    /^[^\t]+\tpauseQueue\t\taudited\t[^\t]+\tqueue=audited\n$/,
  );
  expect((await popfleet('audit list --by nobody')).stderr).toContain('Nothing such was changed.');
});
