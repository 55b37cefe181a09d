// Handlers on the main thread share its streams: each line names the run that has written it.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createLog } from '../../src/log.ts';
import { createInlineOutput, type InlineOutput } from '../../src/worker/runners/inline-output.ts';

let entries: Record<string, unknown>[];
let passedThrough: string[];
let output: InlineOutput;

beforeEach(() => {
  entries = [];
  passedThrough = [];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    passedThrough.push(String(text));
    return true;
  });
  const write = (line: string): void => void entries.push(JSON.parse(line) as Record<string, unknown>);
  output = createInlineOutput(createLog('info', {}, { write }));
  output.start();
});

afterEach(() => {
  output.stop();
  vi.restoreAllMocks();
});

async function run(id: string, handler: () => unknown): Promise<void> {
  const owner = { queue: 'mail', id, type: 'tiny' };
  await output.run(owner, handler);
  output.end(owner);
}

const said = (): unknown[] =>
  entries.map(({ msg, task, late }) => [msg, task, ...(late === true ? ['late'] : [])]);
const print = (text: string): unknown => process.stdout.write(text);

test('case 18: what a handler writes at once', async () => {
  await Promise.all([run('a', () => print('one\n')), run('b', () => print('two'))]);
  expect(said()).toEqual([
    ['one', 'a'],
    ['two', 'b'],
  ]);
  expect(entries[0]).toMatchObject({ level: 30, queue: 'mail', type: 'tiny', stream: 'stdout' });
});

test('case 18: what several handlers write later, once one of them has written something', async () => {
  await run('first', async () => {
    await sleep(1);
    print('alone\n');
  });
  await Promise.all(
    ['a', 'b', 'c'].map((id) =>
      run(id, async () => {
        await sleep(5);
        print(`from ${id}, `);
        await sleep(5);
        print(`again from ${id}\n`);
      }),
    ),
  );
  expect(said()).toEqual([
    ['alone', 'first'],
    ...['a', 'b', 'c'].map((id) => [`from ${id}, again from ${id}`, id]),
  ]);
});

test('case 18: what a handler leaves behind writes, and what is no handler', async () => {
  await run('first', () => print('begun\n'));
  await run('a', () => {
    setTimeout(() => print('an echo\n'), 5);
  });
  print('of the program\n');
  await run('b', () => sleep(20));
  expect(said()).toEqual([
    ['begun', 'first'],
    ['an echo', 'a', 'late'],
  ]);
  expect(passedThrough).toEqual(['of the program\n']);
});
