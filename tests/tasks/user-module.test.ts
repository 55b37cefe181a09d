// A user's own tasks in the whole program: one module, loaded by server, worker and every thread.

import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { endAll, type RoleProcess, spawnRole, startRole } from '../support/fleet.ts';
import { call, post } from '../support/http.ts';

const REPO = fileURLToPath(new URL('../..', import.meta.url));
const FIXTURES = fileURLToPath(new URL('../fixtures', import.meta.url));

let cwd: string;
let all: RoleProcess;

beforeAll(async () => {
  cwd = mkdtempSync(join(tmpdir(), 'popfleet-tasks-'));
  const tasks = `${FIXTURES}/tasks.mjs,${FIXTURES}/task-array.mjs`;
  all = await startRole('all', {}, cwd, ['--tasks', tasks, '--port', '0', '--concurrency', '2']);
});

afterAll(async () => {
  all?.signal('SIGTERM');
  expect(await all?.exited).toBe(0);
  rmSync(cwd, { recursive: true, force: true });
});

type Task = Record<string, unknown> & { readonly error?: Record<string, unknown> };

/** One attempt only: what fails is dead. */
async function run(type: string, input: unknown): Promise<Task> {
  const sent = await post(`${all.url()}/v1/tasks`, { type, input, maxAttempts: 1 });
  expect(sent.status).toBe(202);
  return (await call(`${all.url()}/v1/tasks/${String(sent.body['id'])}?wait=20`)).body;
}

test('it runs, on its short route too', async () => {
  expect(await run('greet', { name: 'Ada' })).toMatchObject({ state: 'succeeded', result: 'Hello, Ada!' });
  expect(await run('in-array-2', null)).toMatchObject({ state: 'succeeded', result: 'in-array-2' });
  expect(await run('the-default', {})).toMatchObject({ state: 'succeeded', result: 'default' });
  const { status, body } = await post(`${all.url()}/greet`, { name: 'Ada' });
  expect([status, body['message']]).toEqual([202, 'task sent']);
});

test('the server validates with its schema', async () => {
  const { status, body } = await post(`${all.url()}/v1/tasks`, { type: 'greet', input: { name: '' } });
  expect(status).toBe(422);
  expect(body['errors']).toEqual([{ pointer: '#/input/name', detail: expect.stringMatching(/length/) }]);
});

test('the handler gets its input as the schema makes it, and knows its task', async () => {
  const task = await run('context', {});
  expect(task['result']).toEqual({
    input: { text: 'filled in' },
    about: { id: task['id'], type: 'context', attempt: 1 },
  });
  // What is stored is what the caller sent.
  expect(task['input']).toEqual({});
});

test.each([
  ['type-error', 'TypeError', 'this is wrong'],
  ['reject', 'RangeError', 'later'],
])('what it throws ends the task dead, with name, message and stack: %s', async (how, name, message) => {
  const task = await run('fail', { how });
  expect(task).toMatchObject({ state: 'dead', attempt: 1, error: { name, message } });
  expect(task.error?.['stack']).toMatch(/tasks\.mjs:\d+/);
  expect(task['result']).toBeUndefined();
});

test('what it throws may be no error, or a hostile one', async () => {
  expect(await run('fail', { how: 'text' })).toMatchObject({
    state: 'dead',
    error: { message: 'a bare text' },
  });
  const hostile = await run('fail', { how: 'hostile' });
  expect(hostile).toMatchObject({
    state: 'dead',
    error: { message: 'an error without a message' },
  });
});

test.each<[string, unknown]>([
  ['plain', { a: [1, 'two', null, true], b: { c: 1.5 } }],
  ['bytes', 'AQID'],
  ['instance', { x: 1 }],
  ['date', { at: '1970-01-01T00:00:00.000Z' }],
  ['class', { user: { name: 'Ada' } }],
])('a result that is %s comes back', async (kind, result) => {
  expect(await run('result', { kind })).toMatchObject({ state: 'succeeded', result });
});

test('a result that is nothing at all is a success', async () => {
  expect((await run('result', { kind: 'nothing' }))['state']).toBe('succeeded');
});

test.each([
  ['function', 'it is a function'],
  ['function-inside', '#/call is a function'],
  ['cycle', '#/next is a cycle: it is one of those that it stands in'],
  ['map', 'it is a Map (give Object.fromEntries(map))'],
  ['map-inside', '#/rows/1/at is a Map (give Object.fromEntries(map))'],
  ['error', '#/failed is an Error (give its message)'],
  ['proto', '#/__proto__ is a key that is not allowed'],
  ['big-integer', '#/id is a BigInt (give its text)'],
  ['nan', '#/0 is NaN: a number beyond the range of a double, or none'],
])('case 28: a result that cannot be kept ends dead, and its part is named: %s', async (kind, fault) => {
  const task = await run('result', { kind });
  expect(task).toMatchObject({ state: 'dead', error: { name: 'PermanentError' } });
  expect(task.error?.['message']).toBe(`the handler ran to its end, but its result cannot be kept: ${fault}`);
  // The thread that made it works on.
  expect(await run('greet', { name: 'Ada' })).toMatchObject({ state: 'succeeded' });
});

test('a result that is too deep ends dead', async () => {
  const task = await run('result', { kind: 'deep' });
  expect(task.error?.['message']).toMatch(/cannot be kept: #(?:\/0){64} is nested deeper than 64 levels$/);
});

test('case 51: a handler that asks for a time that no calendar has waits for a year, and is shown', async () => {
  const sent = await post(`${all.url()}/v1/tasks`, { type: 'much-later', input: null, queue: 'default' });
  const id = String(sent.body['id']);
  const row = await eventually(async () => {
    const { status, body } = await call(`${all.url()}/v1/tasks?state=scheduled`);
    expect(status).toBe(200);
    return (body['items'] as Task[]).find((item) => item['id'] === id);
  });
  const days = (Date.parse(String(row['dueAt'])) - Date.now()) / 86_400_000;
  expect(Math.round(days)).toBe(365);
  await post(`${all.url()}/v1/tasks/${id}/cancel`, {});
});

test('process.exit() in a handler fails its task alone', async () => {
  const neighbour = run('burn', { ms: 700 });
  const exits = await Promise.all([run('fail', { how: 'exit' }), run('fail', { how: 'exit' })]);
  for (const task of exits) {
    expect(task).toMatchObject({ state: 'dead', crashes: 0 });
    expect(task.error?.['message']).toMatch(/\w/);
  }
  expect(await neighbour).toMatchObject({ state: 'succeeded', crashes: 0, attempt: 1 });
  // Every thread is there again.
  const after = await Promise.all(Array.from({ length: 6 }, () => run('greet', { name: 'Ada' })));
  expect(after.map((task) => task['state'])).toEqual(Array.from({ length: 6 }, () => 'succeeded'));
  expect(all.child.exitCode).toBeNull();
});

test.each<[string, RegExp]>([
  ['no-such-file.mjs', /^cannot load the task module \S*no-such-file\.mjs: there is no file .+$/],
  [
    'bad-throws.mjs',
    /^cannot load the task module \S*bad-throws\.mjs: thrown on purpose\n +at \S*bad-throws\.mjs:1:7$/,
  ],
  [
    'bad-syntax.mjs',
    /^cannot load the task module \S*bad-syntax\.mjs: SyntaxError: Unexpected token .+\n\S*bad-syntax\.mjs:1\n.*\n +\^$/,
  ],
  ['bad-clash.mjs', /^task type "add" is defined twice: in popfleet itself and in \S*bad-clash\.mjs$/],
  ['bad-no-task.mjs', /^\S*bad-no-task\.mjs exports no task: export what defineTask\(\) returns \(.+\)$/],
  ['bad-default.mjs', /^the default export of \S*bad-default\.mjs was not made by defineTask\(\)$/],
])('%s stops the start with exit code 78, a sentence and the place', async (module, message) => {
  const folder = mkdtempSync(join(tmpdir(), 'popfleet-bad-'));
  try {
    const path = join(module === 'bad-syntax.mjs' ? folder : FIXTURES, module);
    writeFileSync(join(folder, 'bad-syntax.mjs'), 'export const broken = ;\n');
    await expectRefusal(spawnRole('all', { TASKS: path }, folder), message);
    // No Redis was started for nothing.
    expect(readdirSync(folder)).toEqual(['bad-syntax.mjs']);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('it stops the start of a server or worker as well', async () => {
  const env = { TASKS: join(FIXTURES, 'bad-throws.mjs'), REDIS_URL: 'redis://127.0.0.1:1' };
  const roles = [spawnRole('server', env), spawnRole('worker', env)];
  for (const role of roles)
    await expectRefusal(role, /^cannot load the task module \S*bad-throws\.mjs: thrown/);
});

test('a module that only fails in a thread stops the start as well, and the Redis that was started for it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'popfleet-bad-'));
  const role = spawnRole('all', { TASKS: `${FIXTURES}/bad-in-thread.mjs` }, folder);
  try {
    expect(await role.exited).toBe(78);
    expect(role.errors().trimEnd()).toMatch(
      /^the worker threads cannot start: .*bad-in-thread\.mjs: not in a thread\n +at \S*bad-in-thread\.mjs:5:26$/,
    );
    expect(readdirSync(join(folder, '.popfleet'))).not.toContain('redis.sock');
  } finally {
    await endAll([role]);
    rmSync(folder, { recursive: true, force: true });
  }
});

test("a relative path is read from where the program was started, in a project of the user's own", async () => {
  const folder = mkdtempSync(join(tmpdir(), 'popfleet-user-'));
  // As after `npm install popfleet valibot`.
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(REPO, join(folder, 'node_modules', 'popfleet'));
  symlinkSync(join(REPO, 'node_modules', 'valibot'), join(folder, 'node_modules', 'valibot'));
  copyFileSync(join(FIXTURES, 'task-array.mjs'), join(folder, 'mine.mjs'));
  const role = await startRole('all', { CONCURRENCY: '1' }, folder, ['--tasks', './mine.mjs']);
  try {
    const sent = await post(`${role.url()}/in-array-1`, null);
    const task = await call(`${role.url()}/v1/tasks/${String(sent.body['id'])}?wait=10`);
    expect(task.body).toMatchObject({ state: 'succeeded', result: 'in-array-1' });
  } finally {
    role.signal('SIGTERM');
    await role.exited;
    rmSync(folder, { recursive: true, force: true });
  }
});

/** A supervisor must not start it again as it is, and a person must see at once what is wrong. */
async function expectRefusal(role: RoleProcess, message: RegExp): Promise<void> {
  expect(await role.exited).toBe(78);
  expect(role.errors().trimEnd()).toMatch(message);
}
