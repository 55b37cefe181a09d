// The examples of the README, run as they stand there; only the port, and the address of Redis, are others.

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BARE_ENV } from '../support/bare-env.ts';
import { eventually } from '../support/eventually.ts';
import { type RoleProcess, startRole, stopRole } from '../support/fleet.ts';
import { call } from '../support/http.ts';

const REPO = fileURLToPath(new URL('../..', import.meta.url));
const CLI = join(REPO, 'dist', 'cli.js');
/** Runs TypeScript on every Node, as popfleet loads task modules. */
const JITI = join(REPO, 'node_modules', 'jiti', 'lib', 'jiti-cli.mjs');
const HERE = 'http://127.0.0.1:3000';

interface Block {
  readonly language: string;
  readonly text: string;
}

let folder: string;
let all: RoleProcess;
const blocks: readonly Block[] = Array.from(
  readFileSync(join(REPO, 'README.md'), 'utf8').matchAll(/^```(\w+)\n(.*?)^```$/gms),
  ([, language = '', text = '']) => ({ language, text }),
);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'popfleet-readme-'));
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(REPO, join(folder, 'node_modules', 'popfleet'));
  // What the second line of the first example makes.
  shell('npx popfleet init', '');
  for (const { text } of blocks) {
    const name = /^\/\/ (\S+\.m?[jt]s)\n/.exec(text)?.[1];
    if (name !== undefined) writeFileSync(join(folder, name), here(text));
  }
  all = await startRole('all', { TASKS: './tasks.ts,./report.ts' }, folder);
  writeFileSync(join(folder, 'send.mjs'), here(readFileSync(join(folder, 'send.mjs'), 'utf8')));
});
afterAll(async () => {
  await stopRole(all);
  rmSync(folder, { recursive: true, force: true });
});

function blockWith(language: string, part: string): Block {
  const found = blocks.find((block) => block.language === language && block.text.includes(part));
  if (!found) throw new Error(`README.md has no example in ${language} with ${part}`);
  return found;
}

/** An example with the addresses of this test; before the server is there only with that of Redis. */
function here(text: string, id = ''): string {
  const placed = text
    .replaceAll('redis://127.0.0.1:6379', join(folder, '.popfleet', 'redis.sock'))
    .replaceAll('npx popfleet', `'${process.execPath}' '${CLI}'`)
    .replaceAll(/\bID\b/g, id);
  return all === undefined ? placed : placed.replaceAll(HERE, all.url());
}

function run(program: string, args: readonly string[], shown: string): string {
  const url = all === undefined ? {} : { POPFLEET_URL: all.url() };
  const env = { ...BARE_ENV, HOME: folder, ...url };
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd: folder,
    encoding: 'utf8',
    env,
    timeout: 60_000,
  });
  expect(status, `${shown}\n${stdout}\n${stderr}`).toBe(0);
  return stdout;
}

/** Runs lines of a shell. @param id stands where they say ID */
function shell(text: string, id: string): string {
  return run('bash', ['-ec', here(text, id)], text);
}

const example = (part: string, id = ''): string => shell(blockWith('sh', part).text, id);
const idIn = (answer: string): string => /"id":"([0-9a-f-]{36})"/.exec(answer)?.[1] ?? '';

test('the first task is the one that init makes, and its result comes back', () => {
  expect(blockWith('sh', 'popfleet init').text).toMatch(
    /^npm install popfleet\nnpx popfleet init .*\nnpx popfleet dev /,
  );
  expect(readFileSync(join(folder, 'tasks.ts'), 'utf8')).toBe(blockWith('ts', "type: 'hello'").text);
  expect(example(`${HERE}/hello?wait=10`)).toContain('"result":"Hello Ada!"');
});

test('a task with options: waited for, followed and explained', () => {
  const sent = example('order-1');
  expect(sent).toContain('202 Accepted');
  const done = example('?wait=30', idIn(sent));
  expect(done).toContain('"state":"succeeded"');
  expect(done).toContain('"result":"Hello Ada!"');
  const events = example('/events', idIn(sent));
  expect(events).toContain('retry: 2000');
  expect(events).toContain('event: end');
  expect(example('/explain', idIn(sent))).toContain('"reasons":[');
});

test('a task with a webhook, which another one follows', async () => {
  const sent = example('example.org/hook');
  expect(sent).toContain('202 Accepted');
  const read = async (id: string): Promise<Record<string, unknown>> =>
    (await call(`${all.url()}/v1/tasks/${id}`)).body;
  // The task that follows is named a moment before it is accepted.
  await eventually(async () => {
    const { task = 'none' } = (await read(idIn(sent)))['onEnd'] as { readonly task?: string };
    return (await read(task))['result'] === 'Hello whoever comes next!';
  });
});

test('steps, of which the second takes the result of the first', async () => {
  const sent = example('/v1/workflows');
  expect(sent).toContain('202 Accepted');
  expect(sent).toContain('"items":[');
  await eventually(async () => {
    const { body } = await call(`${all.url()}/v1/workflows/${idIn(sent)}`);
    const [, second] = body['steps'] as { readonly result?: string }[];
    return body['state'] === 'succeeded' && second?.result === 'Hello Hello Ada!!';
  });
});

test('a batch, and a schedule', () => {
  const answers = example('/v1/tasks/batch');
  expect(answers).toContain('202 Accepted');
  expect(answers).toContain('"accepted":2');
  expect(answers).toContain('"next":[');
});

test('the client, and the same in Python with its standard library', () => {
  expect(run(process.execPath, ['send.mjs'], 'send.mjs').trim()).toBe('Hello Ada!');
  const text = here(blockWith('python', 'urllib').text);
  expect(run('python3', ['-c', text], text).trim()).toBe('succeeded Hello Ada!');
});

test('one’s own task over HTTP, from a program with Redis, and in its tests', () => {
  const body = `-H 'content-type: application/json' -d '{"customer":"acme","pages":12}'`;
  expect(shell(`curl -s '${HERE}/report.render?wait=20' ${body}`, '')).toContain(
    '"result":{"pages":12,"attempt":1}',
  );
  const enqueued = run(process.execPath, [JITI, 'enqueue.ts'], 'enqueue.ts');
  expect(enqueued).toContain('{ pages: 12, attempt: 1 }');
  const tested = run(process.execPath, [JITI, 'report.test.ts'], 'report.test.ts');
  expect(tested).toContain('succeeded { pages: 2, attempt: 2 }');
});

test('the commands', () => {
  const said = example('task add add');
  expect(said).toContain('default');
  expect(said).toContain('\n3');
});
