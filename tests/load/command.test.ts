import { Command } from 'commander';
import { afterEach, expect, test, vi } from 'vitest';
import { addLoadCommand } from '../../src/load/command.ts';
import { type FakeServer, startFakeServer } from './fake-server.ts';

let server: FakeServer | undefined;
let env: Record<string, string> = {};
afterEach(async () => {
  vi.restoreAllMocks();
  env = {};
  process.exitCode = undefined;
  await server?.close();
  server = undefined;
});

interface Result {
  readonly exitCode: number | string | null | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `popfleet load` with these arguments inside this process. */
async function popfleetLoad(...args: readonly string[]): Promise<Result> {
  let stdout = '';
  let stderr = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => ((stdout += String(chunk)), true));
  vi.spyOn(process.stderr, 'write').mockImplementation((chunk) => ((stderr += String(chunk)), true));
  const exit = vi.spyOn(process, 'exit').mockImplementation((code) => {
    throw new Error(`exit ${code}`);
  });
  const program = new Command('popfleet').showHelpAfterError();
  addLoadCommand(program.command('load'), env);
  try {
    await program.parseAsync(['load', ...args], { from: 'user' });
    return { exitCode: process.exitCode, stdout, stderr };
  } catch (error) {
    if (exit.mock.calls.length === 0) throw error;
    return { exitCode: exit.mock.calls[0]?.[0], stdout, stderr };
  }
}

test('a run answers one JSON document and exit code 0', async () => {
  server = await startFakeServer();
  const result = await popfleetLoad('--url', server.url.href, '-n', '5', '--in-flight', '2', '--json');
  expect(JSON.parse(result.stdout)).toMatchObject({ outcome: 'ok', accepted: 5, succeeded: 5, lost: 0 });
  expect(result.exitCode).toBe(0);
});

test('server and key are found as for every other command, and no option has the key itself', async () => {
  server = await startFakeServer();
  env = { POPFLEET_URL: server.url.href };
  expect((await popfleetLoad('-n', '1', '--json')).exitCode).toBe(0);
  const missing = await popfleetLoad('-n', '1', '--key-file', '/nowhere/key');
  expect([missing.exitCode, missing.stderr]).toEqual([2, expect.stringMatching(/^error: .*nowhere/)]);
  expect((await popfleetLoad('--key', 'pf_secret')).exitCode).toBe(2);
});

test('an option is passed on as it was meant', async () => {
  server = await startFakeServer();
  await popfleetLoad(
    '--url',
    server.url.href,
    '-n',
    '1',
    '--input',
    '{"x":[1]}',
    '--type',
    'echo',
    '--queue',
    'slow',
  );
  expect(server.tasks.map((task) => task.body)).toEqual([{ type: 'echo', input: { x: [1] }, queue: 'slow' }]);
});

test.each([
  ['--tasks', '0'],
  ['--tasks', '1e3'],
  ['--tasks', '-1'],
  ['--in-flight', 'many'],
  ['--drain-timeout', '1.5'],
  ['--input', '{one:1}'],
  ['--input', '{"one":1e400}'],
  ['--url', 'localhost:3000'],
  ['--url', 'ftp://example.org'],
  ['--queue', 'Not A Queue'],
  ['--type', ''],
])('%s %s is refused in one sentence with exit code 2', async (option, value) => {
  const result = await popfleetLoad(option, value);
  expect(result.exitCode).toBe(2);
  expect(result.stderr).toMatch(/^error: option .* is invalid\. It must .*\.\n$/);
  expect(result.stdout).toBe('');
});

test('an option that does not exist is refused with a guess', async () => {
  const result = await popfleetLoad('--taks', '5');
  expect(result.exitCode).toBe(2);
  expect(result.stderr).toContain('Did you mean --tasks?');
});

test('--help shows examples and ends well', async () => {
  const result = await popfleetLoad('--help');
  expect(result.exitCode).toBe(0);
  expect(result.stdout).toMatch(/^Examples:/);
});
