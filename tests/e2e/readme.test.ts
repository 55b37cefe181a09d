// The examples of the README, run as they stand there; only the port is another one.

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RoleProcess, startRole, stopRole } from '../support/fleet.ts';

const REPO = fileURLToPath(new URL('../..', import.meta.url));
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
  symlinkSync(join(REPO, 'node_modules', 'valibot'), join(folder, 'node_modules', 'valibot'));
  writeFileSync(join(folder, 'my-tasks.mjs'), blockWith('js', 'report.render').text);
  all = await startRole('all', { TASKS: './my-tasks.mjs' }, folder);
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

/** Runs an example. @param id stands where it says ID */
function run(program: string, text: string, id = ''): string {
  const script = text.replaceAll(HERE, all.url()).replaceAll('ID', id);
  const { status, stdout, stderr } = spawnSync(
    program,
    program === 'bash' ? ['-ec', script] : ['-c', script],
    {
      cwd: folder,
      encoding: 'utf8',
      timeout: 20_000,
    },
  );
  expect(status, `${text}\n${stdout}\n${stderr}`).toBe(0);
  return stdout;
}

const idIn = (answer: string): string => /"id":"([0-9a-f-]{36})"/.exec(answer)?.[1] ?? '';

test('a first task, and its result', () => {
  const sent = run('bash', blockWith('sh', `${HERE}/add`).text);
  expect(sent).toContain('202 Accepted');
  const done = run('bash', blockWith('sh', '/v1/tasks/ID?wait=30').text, idIn(sent));
  expect(done).toContain('"state":"succeeded"');
  expect(done).toContain('"result":3');
});

test('a task with options, a schedule, and a task of one’s own', () => {
  expect(run('bash', blockWith('sh', 'order-4711').text)).toContain('202 Accepted');
  expect(run('bash', blockWith('sh', '/v1/schedules/morning').text)).toContain('"next":[');
  const own = blockWith('sh', '--tasks ./my-tasks.mjs').text.split('\n').slice(1).join('\n');
  const sent = run('bash', own);
  const done = run('bash', `curl -s '${HERE}/v1/tasks/ID?wait=20'`, idIn(sent));
  expect(done).toContain('"result":{"pages":12,"attempt":1}');
});

test('the same in Python, with its standard library', () => {
  expect(run('python3', blockWith('python', 'urllib').text).trim()).toBe('succeeded 3');
});

test('a batch, the events, and why a task does not run', () => {
  const batch = run('bash', blockWith('sh', '/v1/tasks/batch').text);
  expect(batch).toContain('202 Accepted');
  const events = run('bash', blockWith('sh', '/v1/events').text, idIn(batch));
  expect(events).toContain('retry: 2000');
  expect(events).toContain('"reasons":[');
});
