// The examples of docs/command-line.md, each run as it stands there: at a terminal, and in a pipe. Those that need a shell, the folder
// or a real terminal are processes; a process costs half a second of a processor, so the others run within this one.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  type Ended,
  installCommand,
  runCommand,
  startAtTerminal,
  startInPipe,
} from '../support/command-line.ts';
import { eventually } from '../support/eventually.ts';
import { createHandWorker } from '../support/hand-worker.ts';
import { encodeCbor } from '../../src/protocol/cbor.ts';
import { socketPath } from '../../src/embedded/socket.ts';
import { type RoleProcess, startRole, stopRole } from '../support/fleet.ts';
import { call, post } from '../support/http.ts';
import { finished, send } from '../support/life.ts';
import { openReceiver, type Receiver } from '../support/receiver.ts';

const DOCUMENT = readFileSync(new URL('../../docs/command-line.md', import.meta.url), 'utf8');
const TASKS = ['tasks.mjs', 'needs-file.mjs']
  .map((name) => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url)))
  .join(',');
const HERE = 'http://127.0.0.1:3000';
const ESCAPE = '\u001b[';

const examples = Array.from(DOCUMENT.matchAll(/^```sh\n(.*?)^```$/gms), ([, text = '']) => text)
  .flatMap((text) => text.split('\n'))
  .filter((line) => line !== '');
/** Those that never end are tried on their own; no machine has every shell. */
const endless = examples.filter((line) => line.includes('status --watch'));
const ending = examples.filter((line) => !endless.includes(line) && !line.includes('completion zsh'));
/** What a shell does for them, or what they read in the folder where they run. */
const needsShell = (line: string): boolean =>
  !line.startsWith('popfleet ') || /[<>|]|\.ndjson|\.cborseq|popfleet doctor/.test(line);
/** They are coloured, which a real terminal has to show at one of them. */
const isList = (line: string): boolean => /(?:queue|task|type|worker|schedule) list$/.test(line);

let folder: string;
let all: RoleProcess;
let receiver: Receiver;
let env: Record<string, string>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'popfleet-commands-'));
  mkdirSync(join(folder, '.config', 'fish', 'completions'), { recursive: true });
  const lines = [1, 2, 3].map((one) => JSON.stringify({ type: 'add', input: { one, two: 2 } }));
  writeFileSync(join(folder, 'tasks.ndjson'), `${lines.join('\n')}\n`);
  writeFileSync(join(folder, 'workflow.json'), JSON.stringify(workflowOf(0)));
  writeFileSync(join(folder, 'tasks.cborseq'), encodeCbor({ type: 'add', input: { one: 1, two: 2 } }));
  receiver = await openReceiver();
  all = await startRole('all', { TASKS, WEBHOOK_ALLOW: '127.0.0.1' }, folder);
  env = { ...installCommand(folder), POPFLEET_URL: all.url() };
});
afterAll(async () => {
  await stopRole(all);
  await receiver?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The id of a task for which the command makes sense. */
async function taskFor(line: string): Promise<string> {
  const url = all.url();
  if (line.includes('task cancel')) return send(url, 'add', { one: 1, two: 2 }, { delayMs: 3_600_000 });
  if (line.includes('task retry')) {
    const id = await send(url, 'fail', { how: 'type-error' }, { maxAttempts: 1 });
    await finished(url, id);
    return id;
  }
  const id = await send(url, 'add', { one: 1, two: 2 });
  await finished(url, id);
  return id;
}

/** The fingerprint of tasks that are dead, and would not be if they ran again. */
async function fingerprintOfDead(): Promise<string> {
  const file = join(folder, `there-${(files += 1)}`);
  const ids = await Promise.all(
    [1, 2].map(() => send(all.url(), 'needs-file', { file }, { maxAttempts: 1 })),
  );
  const [dead] = await Promise.all(ids.map((id) => finished(all.url(), id)));
  writeFileSync(file, '');
  return dead?.error?.fingerprint ?? '';
}

/** Of tasks that nobody runs: while they are there, not all is well. */
const waiting: string[] = [];
afterEach(async () => {
  for (const id of waiting.splice(0)) await call(`${all.url()}/v1/tasks/${id}`, { method: 'DELETE' });
});

/** An operation that watches a task which nobody runs; one that waits for its end would not end. */
async function openOperation(isToEnd: boolean): Promise<string> {
  const queue = `nobody-${(files += 1)}`;
  const id = await send(all.url(), 'add', { one: 1, two: 2 }, { queue, ttlMs: 1 });
  await finished(all.url(), id);
  waiting.push(id);
  const filter = { queue };
  const request = isToEnd
    ? { action: 'cancel', filter }
    : { action: 'retry', filter, first: 1, stopAfterErrors: 1 };
  const { body } = await post(`${all.url()}/v1/operations`, { ...request, dryRun: true });
  const started = await post(`${all.url()}/v1/operations`, { ...request, confirm: body['confirm'] });
  return String(started.body['id']);
}

let files = 0;

/** The name of a worker that is none: what becomes of the real one, other examples would feel. */
async function handWorker(): Promise<string> {
  const worker = createHandWorker(socketPath(join(folder, '.popfleet')));
  await send(all.url(), 'add', { one: 1, two: 2 }, { queue: 'hands' });
  await worker.end(await worker.take('hands'), 'succeeded', 3);
  worker.close();
  return 'hand-worker';
}

/** A token of a task that runs. */
async function tokenOfTask(): Promise<string> {
  const worker = createHandWorker(socketPath(join(folder, '.popfleet')));
  await send(all.url(), 'add', { one: 1, two: 2 }, { queue: 'tokens' });
  const id = await worker.take('tokens');
  const token = await worker.token(id, 'approval');
  await worker.end(id, 'released');
  worker.close();
  return token;
}

/** Two steps; the first begins after so many milliseconds. */
const workflowOf = (delayMs: number): object => ({
  tasks: {
    a: { type: 'add', input: { one: 1, two: 2 }, delayMs },
    b: { type: 'add', input: { one: { $from: 'a' }, two: 2 }, needs: ['a'] },
  },
});

/** The id of a workflow for which the command makes sense: one that has ended, or has not begun. */
async function workflowFor(line: string): Promise<string> {
  const isOver = line.includes(' wait ') || line.includes(' show ');
  const { body } = await post(`${all.url()}/v1/workflows`, workflowOf(isOver ? 0 : 3_600_000));
  const id = String(body['id']);
  const url = `${all.url()}/v1/workflows/${id}`;
  if (line.includes(' retry ')) await post(`${url}/cancel`, {});
  if (line.includes(' retry ') || isOver) await call(`${url}?wait=30`);
  return id;
}

/** A delivery that has arrived. */
async function deliveryOf(webhook: string): Promise<string> {
  const { body } = await post(`${all.url()}/v1/webhooks/${webhook}/test`, {});
  await call(`${all.url()}/v1/tasks/${String(body['id'])}?wait=30`);
  return String(body['id']);
}

async function written(line: string): Promise<string> {
  if (line.includes('BATCH')) {
    const { body } = await post(`${all.url()}/v1/batches`, {});
    return line.replace('BATCH', String(body['id']));
  }
  if (line.includes('WEBHOOK')) {
    const { body } = await post(`${all.url()}/v1/webhooks`, { url: receiver.url });
    const id = String(body['id']);
    const delivery = line.includes('DELIVERY') ? await deliveryOf(id) : '';
    return line.replace('WEBHOOK', id).replace('DELIVERY', delivery);
  }
  if (line.includes('FINGERPRINT')) return line.replace('FINGERPRINT', await fingerprintOfDead());
  if (line.includes(' TOKEN')) return line.replace('TOKEN', await tokenOfTask());
  if (line.includes(' WORKER')) return line.replace('WORKER', await handWorker());
  if (line.includes(' WORKFLOW')) return line.replace('WORKFLOW', await workflowFor(line));
  if (line.includes(' OP')) return line.replace(' OP', ` ${await openOperation(line.includes('--watch'))}`);
  const id = line.includes(' ID') ? await taskFor(line) : '';
  return line
    .replaceAll('ID', id)
    .replaceAll(HERE, all.url())
    .replace(/@(?=workflow)/, `@${folder}/`);
}

/** What every example has to show, whatever it does. */
function expectRight(line: string, { code, stdout, stderr }: Ended): void {
  expect(code, `${line}\n${stdout}\n${stderr}`).toBe(0);
  expect(stdout + stderr).not.toMatch(/error:|undefined|\[object/);
}

/** Runs a line without a shell, which would split it as this does: at blanks outside quotes. */
function runHere(line: string, isTerminal: boolean): Promise<Ended> {
  const [, ...words] = Array.from(line.matchAll(/'([^']*)'|[^' ]+/g), ([word, quoted]) => quoted ?? word);
  return runCommand(words, { env, isTerminal });
}

test('the document has examples of all commands', () => {
  expect(ending.length).toBeGreaterThan(40);
});

describe('in a pipe', () => {
  test.each(ending)('%s', async (line) => {
    const text = await written(line);
    const ended = await (needsShell(line) ? startInPipe(text, folder, env).ended : runHere(text, false));
    expectRight(line, ended);
    expect(ended.stdout + ended.stderr).not.toContain(ESCAPE);
    if (line.includes('--json')) {
      for (const document of ended.stdout.trimEnd().split('\n')) JSON.parse(document);
    }
  });
});

describe('at a terminal', () => {
  test.each(ending)('%s', async (line) => {
    const text = await written(line);
    const isProcess = needsShell(line) || line === 'popfleet queue list';
    const ended = await (isProcess ? startAtTerminal(text, folder, env).ended : runHere(text, true));
    expectRight(line, ended);
    if (isList(line)) expect(ended.stdout).toContain(ESCAPE);
  });
});

describe('what is watched', () => {
  test.each(endless)('%s: until Ctrl-C', async (line) => {
    const watched = startAtTerminal(line, folder, env);
    await eventually(() => watched.stdout().split('QUEUE').length > 2);
    watched.child.stdin?.write('\u0003');
    expect((await watched.ended).code).toBe(130);

    const piped = startInPipe(`exec ${line} --json`, folder, env);
    await eventually(() => piped.stdout().split('\n').length > 2);
    piped.child.kill('SIGINT');
    const { code, stdout } = await piped.ended;
    expect(code).toBe(130);
    for (const document of stdout.trimEnd().split('\n')) {
      expect(JSON.parse(document)).toMatchObject({
        health: expect.stringMatching(/ok|warn/),
        queues: expect.arrayContaining([expect.objectContaining({ queue: 'default' })]),
      });
    }
  });
});
