// The examples of docs/client.md, each run as it stands there; only the address is another one. tests/browser/client.test.ts has the page.

import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BARE_ENV } from '../support/bare-env.ts';
import { type RoleProcess, startRole, stopRole } from '../support/fleet.ts';

const REPO = fileURLToPath(new URL('../..', import.meta.url));
const CLI = join(REPO, 'dist', 'cli.js');
const DOCUMENT = readFileSync(join(REPO, 'docs', 'client.md'), 'utf8');
const HERE = 'http://127.0.0.1:3000';

const blocksIn = (language: string): string[] =>
  Array.from(
    DOCUMENT.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms')),
    ([, text = '']) => text,
  );
const programs = blocksIn('js');
/** Later examples go on with the client of the first one. */
const opening = programs[0]?.split('\n').slice(0, -2).join('\n') ?? '';

let folder: string;
let all: RoleProcess;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'popfleet-client-docs-'));
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(REPO, join(folder, 'node_modules', 'popfleet'));
  symlinkSync(join(REPO, 'node_modules', '@types'), join(folder, 'node_modules', '@types'));
  await run(CLI, 'init');
  all = await startRole('all', { TASKS: './tasks.ts' }, folder);
});
afterAll(async () => {
  await stopRole(all);
  rmSync(folder, { recursive: true, force: true });
});

/** @returns what it wrote. It rejects when the program fails, with what it wrote */
async function run(...args: readonly string[]): Promise<string> {
  const options = { cwd: folder, env: BARE_ENV, timeout: 60_000 };
  try {
    return (await promisify(execFile)(process.execPath, args, options)).stdout;
  } catch (error) {
    const { stdout, stderr } = error as { readonly stdout: string; readonly stderr: string };
    throw new Error(`${args.join(' ')}: ${stdout}${stderr}`, { cause: error });
  }
}

function example(part: string): string {
  const text = programs.find((one) => one.includes(part));
  if (text === undefined) throw new Error(`docs/client.md has no example with ${part}`);
  const isWhole = text.includes('new Popfleet(');
  const [imports, rest] = text.startsWith('import ')
    ? [text.slice(0, text.indexOf('\n')), text.slice(text.indexOf('\n'))]
    : ['', text];
  return (isWhole ? text : `${imports}\n${opening}\n${rest}`).replaceAll(HERE, all.url());
}

test.each([
  ['a first call', '// send.mjs', /^Hello you!\n$/],
  ['sending', 'enqueueMany', /^true true\n$/],
  ['results and events', 'popfleet.events', /^(?:100\n)*succeeded Hello you!\n\[ 'greeting you' \]\n$/],
  ['errors', 'TaskFailed', /^invalid-input \[\s+\{ pointer: '#\/input\/name', detail: .* \}\s+\]\n$/],
])('%s', async (_, part, said) => {
  writeFileSync(join(folder, 'example.mjs'), example(part));
  expect(await run('example.mjs')).toMatch(said);
});

test('every program of the document is one of these', () => {
  expect(programs).toHaveLength(4);
  expect(blocksIn('ts')).toHaveLength(1);
});

test('with the types of the tasks, as popfleet init makes them', async () => {
  writeFileSync(join(folder, 'typed.ts'), (blocksIn('ts')[0] ?? '').replaceAll(HERE, all.url()));
  const compilerOptions = {
    target: 'es2022',
    module: 'nodenext',
    strict: true,
    skipLibCheck: true,
    types: ['node'],
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['typed.ts'] }));
  await run(join(REPO, 'node_modules', 'typescript', 'bin', 'tsc'));
  expect(await run('typed.js')).toBe('HELLO YOU!\n');
  // The module of the tasks is no part of what runs.
  expect(readFileSync(join(folder, 'typed.js'), 'utf8')).not.toContain('tasks');
});
