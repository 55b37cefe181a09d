// What the commands send: fields, documents and files.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeCbor } from '../../src/protocol/cbor.ts';
import { type Ended, type InProcess, runCommand } from '../support/command-line.ts';
import { withServer } from '../support/with-server.ts';

const server = withServer();
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'popfleet-commands-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A line as a shell would split it, at blanks. */
function popfleet(line: string, options: InProcess = {}): Promise<Ended> {
  const env = { POPFLEET_URL: server.url() };
  return runCommand(line.split(' '), { ...options, env });
}

test('values of fields are JSON where they are', async () => {
  const { stdout } = await popfleet('task add context text=12a --queue fields');
  const shown = await popfleet(`task get ${stdout.trim()} --json`);
  expect(JSON.parse(shown.stdout)).toMatchObject({ input: { text: '12a' }, queue: 'fields' });
  const empty = await popfleet('task add the-default none=null null="null" --queue fields --json');
  const { id } = JSON.parse(empty.stdout) as { readonly id: string };
  expect(JSON.parse((await popfleet(`task get ${id} --json`)).stdout)).toMatchObject({
    input: { none: null, null: 'null' },
  });
  const piped = await popfleet('task add add --input - --queue fields', { stdin: '{"one":5,"two":6}' });
  const other = await popfleet(`task get ${piped.stdout.trim()} --json`);
  expect(JSON.parse(other.stdout)).toMatchObject({ input: { one: 5, two: 6 } });
});

test('a file of tasks goes on where it broke off, and names the lines that are not valid', async () => {
  const file = join(folder, 'many.ndjson');
  const task = (one: number): string =>
    JSON.stringify({ type: 'add', input: { one, two: 2 }, queue: 'imported' });
  writeFileSync(file, [task(1), '', task(1), task(2)].join('\n'));
  expect((await popfleet(`task import ${file}`)).stdout).toBe(
    '3 accepted, 0 were there already, 0 rejected\n',
  );
  writeFileSync(
    file,
    [task(1), '', task(1), task(2), task(3), '{"type":"add","input":{"one":"x"}}'].join('\n'),
  );
  const again = await popfleet(`task import ${file} --json`);
  expect(JSON.parse(again.stdout)).toEqual({ accepted: 1, replayed: 3, rejected: 1 });
  expect(again.code).toBe(6);
  expect(again.stderr).toMatch(/^line 6: .*#\/input\/one/m);
  const lines = [task(1), '[1]', '{"type":"add","input":{"one":9007199254740993,"two":1}}', task(2)];
  const broken = await popfleet('task import - --prefix other', { stdin: lines.join('\n') });
  expect(broken).toMatchObject({ code: 6, stdout: '2 accepted, 0 were there already, 2 rejected\n' });
  expect(broken.stderr).toContain('line 2: must be a JSON object');
  expect(broken.stderr).toMatch(/^line 3: .*#\/input\/one is an integer beyond/m);
});

test('what is not UTF-8, or no number holds, is refused: nothing is sent in its place', async () => {
  const file = join(folder, 'latin1.json');
  const task = (text: string): string => `{"type":"context","input":{"text":"${text}"},"queue":"latin1"}`;
  writeFileSync(file, task('Käse'), 'latin1');
  const notUtf8 = { code: 2, stderr: expect.stringContaining('it is not UTF-8') };
  expect(await popfleet(`task add context --input @${file}`)).toMatchObject(notUtf8);
  const stdin = Buffer.from('"Käse"', 'latin1');
  expect(await popfleet('task add context --input -', { stdin })).toMatchObject(notUtf8);
  const lines = [
    Buffer.from(task('Käse 🧀\ufffd')),
    Buffer.from(task('Käse'), 'latin1'),
    Buffer.from('{"type":"add","input":{"one":1e400,"two":1}}'),
    Buffer.from(task('Brot')),
  ];
  writeFileSync(file, Buffer.concat(lines.flatMap((line) => [line, Buffer.from('\n')])));
  const { stdout, stderr } = await popfleet(`task import ${file}`);
  expect(stdout).toBe('2 accepted, 0 were there already, 2 rejected\n');
  expect(stderr).toMatch(/^line 2: .*not UTF-8/m);
  expect(stderr).toMatch(/^line 3: .*#\/input\/one is Infinity/m);
  const rows = JSON.parse((await popfleet('task list --queue latin1 --json')).stdout) as {
    readonly items: readonly { readonly id: string }[];
  };
  const shown = await Promise.all(rows.items.map(({ id }) => popfleet(`task get ${id} --json`)));
  expect(shown.map((one) => (JSON.parse(one.stdout) as { input: unknown }).input)).toEqual(
    expect.arrayContaining([{ text: 'Käse 🧀\ufffd' }, { text: 'Brot' }]),
  );
});

test('a file of CBOR items carries bytes, and nothing is read behind an item that is not plain', async () => {
  const file = join(folder, 'many.cborseq');
  const task = (input: unknown): Buffer => encodeCbor({ type: 'the-default', input, queue: 'sequence' });
  // Longer than what is read at once, so that items are read in parts.
  const large = [1, 2, 3, 4].map((byte) => task(Buffer.alloc(40_000, byte)));
  writeFileSync(file, Buffer.concat([...large, encodeCbor([1])]));
  const first = await popfleet(`task import ${file} --format cbor-seq`);
  expect(first).toMatchObject({ code: 6, stdout: '4 accepted, 0 were there already, 1 rejected\n' });
  expect(first.stderr).toContain('item 5: must be a map');
  const again = await popfleet(`task import ${file} --format cbor-seq --json`);
  expect(JSON.parse(again.stdout)).toEqual({ accepted: 0, replayed: 4, rejected: 1 });

  const tag = Buffer.from([0xc1, 0x01]);
  for (const [end, why] of [
    [Buffer.concat([tag, task(1)]), 'a tag'],
    [task(1).subarray(0, -1), 'the file ends in it'],
  ] as const) {
    writeFileSync(file, Buffer.concat([task(end.length), end]));
    const broken = await popfleet(`task import ${file} --format cbor-seq`);
    expect(broken).toMatchObject({ code: 6, stdout: '1 accepted, 0 were there already, 1 rejected\n' });
    expect(broken.stderr).toContain(`item 2: ${why}`);
    expect(broken.stderr).toContain('nothing behind it was read');
  }
});
