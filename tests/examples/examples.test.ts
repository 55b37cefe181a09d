// Every file of examples/, run as its reader would, against a server with a worker.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { BARE_ENV } from '../support/bare-env.ts';
import { eventually } from '../support/eventually.ts';
import { type RoleProcess, startRole, stopRole } from '../support/fleet.ts';
import { call, post } from '../support/http.ts';
import { hasPython, NO_PYTHON } from '../support/python.ts';

const REPO = fileURLToPath(new URL('../..', import.meta.url));
const EXAMPLES = join(REPO, 'examples');
/** order.test.ts and training.test.ts run what they are named after. */
const RUN = [
  'order/order.json',
  'order/order.mjs',
  'python/popfleet.py',
  'python/send.py',
  'training/training.mjs',
  'web/hono.mjs',
  'web/next-route.ts',
];

let all: RoleProcess;
let env: Record<string, string>;

beforeAll(async () => {
  all = await startRole('all', {}, makeFolder());
  env = { ...BARE_ENV, POPFLEET_URL: all.url(), PYTHONDONTWRITEBYTECODE: '1' };
});
afterAll(async () => {
  await stopRole(all);
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

const folders: string[] = [];
function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'popfleet-examples-'));
  folders.push(folder);
  return folder;
}

async function run(program: string, args: readonly string[], cwd: string): Promise<string> {
  const { stdout } = await promisify(execFile)(program, args, { cwd, env, timeout: 60_000 });
  return stdout;
}

test('the README names every example, and each is run here', () => {
  const files = readdirSync(EXAMPLES, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(EXAMPLES, join(entry.parentPath, entry.name)))
    .filter((name) => name !== 'README.md');
  expect(files.sort()).toEqual(RUN);
  const readme = readFileSync(join(EXAMPLES, 'README.md'), 'utf8');
  expect(RUN.filter((name) => !readme.includes(`[${name}](${name})`))).toEqual([]);
});

// python.test.ts has what its client does when something is in its way.
test('python/send.py', async ({ skip }) => {
  skip(!hasPython, NO_PYTHON);
  const lines = (await run('python3', ['send.py'], join(EXAMPLES, 'python'))).trimEnd().split('\n');
  const events = lines.filter((line) => line.startsWith('event '));
  expect(lines.filter((line) => !line.startsWith('event '))).toEqual([
    '1 + 2 = 3',
    'the same task: True',
    'task 0 sent',
    'task 1 sent',
    'task 2 refused',
    'cancelled: cancelled',
    'invalid-input #/input/one',
  ]);
  expect(events[0]).toMatch(/^event snapshot /);
  expect(events.at(-1)).toBe('event end succeeded');
});

function start(file: string): ChildProcess {
  const child = spawn(process.execPath, [join(EXAMPLES, file)], {
    env: { ...env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  return child;
}

test('web/hono.mjs', async () => {
  const child = start('web/hono.mjs');
  const [said] = (await once(child.stdout as NonNullable<typeof child.stdout>, 'data')) as [Buffer];
  const url = said.toString().trim();
  const sum = { order: '4711', one: 1, two: 2 };
  const { status, body, headers } = await post(`${url}/sums`, sum);
  expect([status, headers.get('location')]).toEqual([202, `/sums/${String(body['id'])}`]);
  expect((await post(`${url}/sums`, sum)).body).toEqual(body);
  const ended = await eventually(async () => {
    const answer = await call(`${url}/sums/${String(body['id'])}`);
    return answer.body['state'] === 'succeeded' ? answer.body : undefined;
  });
  expect(ended).toEqual({ state: 'succeeded', result: 3 });
  expect(await post(`${url}/sums`, { order: '4712', one: 'x', two: 2 })).toMatchObject({
    status: 422,
    body: { errors: [{ pointer: '#/input/one' }] },
  });
  expect((await post(`${url}/sums`, { ...sum, two: 3 })).status).toBe(409);
  expect(await post(`${url}/sums`, { one: 1, two: 2 })).toMatchObject({
    status: 422,
    body: { errors: [{ pointer: '#/order' }] },
  });
  expect((await call(`${url}/sums/none`)).status).toBe(404);
});

const CALLS = `import { GET, POST } from './next-route.js';
const send = (body) => POST(new Request('http://app.test/api/sums', { method: 'POST', body: JSON.stringify(body) }));
const sent = await send({ order: '1', one: 3, two: 4 });
const { id } = await sent.json();
const done = await GET(new Request('http://app.test/api/sums?id=' + id));
const none = await GET(new Request('http://app.test/api/sums?id=none'));
const other = await send({ order: '1', one: 3, two: 5 });
const wrong = [await send({ order: '2', one: 'x', two: 4 }), await send({ one: 3, two: 4 })];
const pointers = await Promise.all(wrong.map(async (one) => (await one.json()).errors[0].pointer));
const statuses = [sent, done, none, other, ...wrong].map(({ status }) => status);
console.log(JSON.stringify([statuses, await done.json(), pointers]));
`;

test('web/next-route.ts compiles, and answers', async () => {
  const folder = makeFolder();
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(REPO, join(folder, 'node_modules', 'popfleet'));
  symlinkSync(join(REPO, 'node_modules', '@types'), join(folder, 'node_modules', '@types'));
  writeFileSync(join(folder, 'next-route.ts'), readFileSync(join(EXAMPLES, 'web', 'next-route.ts')));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  writeFileSync(join(folder, 'calls.js'), CALLS);
  const compilerOptions = { target: 'es2022', module: 'nodenext', strict: true, types: ['node'] };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['next-route.ts'] }));
  const tsc = join(REPO, 'node_modules', 'typescript', 'bin', 'tsc');
  await run(process.execPath, [tsc], folder);
  const said: unknown = JSON.parse(await run(process.execPath, ['calls.js'], folder));
  expect(said).toEqual([
    [202, 200, 404, 409, 422, 422],
    { state: 'succeeded', result: 7 },
    ['#/input/one', '#/order'],
  ]);
});
