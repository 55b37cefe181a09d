// Dead letters and operations: what is asked before much is changed, and what a canary finds out.

import { describe, expect, test } from 'vitest';
import { fingerprintOf } from '../../src/protocol/fingerprint.ts';
import { type Ended, type InProcess, runCommand } from '../support/command-line.ts';
import { eventually } from '../support/eventually.ts';
import { look, send } from '../support/life.ts';
import { withServer } from '../support/with-server.ts';

const server = withServer();

function popfleet(line: string, options: InProcess = {}): Promise<Ended> {
  return runCommand(line.split(' '), { ...options, env: { POPFLEET_URL: server.url() } });
}

async function die(queue: string, error = ERROR): Promise<string> {
  await send(server.url(), 'add', { one: 1, two: 2 }, { queue });
  const id = await server.worker().take(queue);
  await server.worker().end(id, 'dead', error);
  return id;
}

const ERROR = { name: 'RangeError', message: 'the other side is down' };
const FINGERPRINT = fingerprintOf('add', ERROR);

describe('what changes many tasks asks first', () => {
  test('nobody can be asked in a pipe', async () => {
    await die('asked');
    const { code, stderr } = await popfleet(`dead replay ${FINGERPRINT} --queue asked`);
    expect(code).toBe(2);
    expect(stderr).toContain('give --yes');
  });

  test('a person says no, and then yes', async () => {
    const id = await die('asked');
    const no = await popfleet(`dead rm ${FINGERPRINT} --queue asked`, { isTerminal: true, stdin: 'n\n' });
    expect(no).toMatchObject({ code: 1, stderr: expect.stringContaining('Nothing was changed') });
    expect((await look(server.url(), id)).state).toBe('dead');
    // The end of the input is no answer: it is as good as no.
    const ended = await popfleet(`dead rm ${FINGERPRINT} --queue asked`, { isTerminal: true, stdin: '' });
    expect(ended).toMatchObject({ code: 1, stderr: expect.stringContaining('\nNothing was changed') });
    const yes = await popfleet(`dead rm ${FINGERPRINT} --queue asked`, { isTerminal: true, stdin: 'y\n' });
    expect(yes).toMatchObject({ code: 0, stdout: expect.stringContaining('deleted') });
    expect((await popfleet(`task get ${id}`)).code).toBe(5);
  });
});

test('a canary that dies again stops the replay', async () => {
  const ids = [await die('canary'), await die('canary'), await die('canary')];
  const replay = popfleet(`dead replay ${FINGERPRINT} --queue canary --canary 1 --then-rest --yes`);
  const canary = await eventually(() => server.worker().take('canary'));
  await server.worker().end(canary, 'dead', ERROR);
  const { code, stderr } = await replay;
  expect(code).toBe(1);
  expect(stderr).toContain('1 of these are dead again');
  for (const id of ids) expect((await look(server.url(), id)).state).toBe('dead');
  expect((await popfleet('op list --queue canary')).stdout).toMatch(/\tretry\tcanary\tstopped\t/);
});

test('a canary that ends well says how to go on', async () => {
  await die('well');
  await die('well');
  const replay = popfleet(`dead replay ${FINGERPRINT} --queue well --canary 1 --yes`);
  await server.worker().end(await eventually(() => server.worker().take('well')), 'succeeded', 3);
  const { code, stdout, stderr } = await replay;
  expect({ code, stdout }).toEqual({
    code: 0,
    stdout: '1 retried, 1 of these succeeded, 0 are dead again\n',
  });
  expect(stderr).toContain('without --canary');
});

test('a cause is looked for in all queues; what changes its tasks is for one of them', async () => {
  const cause = { ...ERROR, name: 'OfQueuesError' };
  const [first, second] = [await die('mail', cause), await die('video', cause)];
  const fingerprint = fingerprintOf('add', cause);
  for (const verb of ['replay', 'rm'])
    expect(await popfleet(`dead ${verb} ${fingerprint} --yes`)).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining('It is in mail and video: name one with --queue'),
    });
  const exported = await popfleet(`dead export ${fingerprint}`);
  const ids = exported.stdout
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { readonly id: string }).id);
  expect(ids).toEqual([first, second]);
  const hint = `dead replay ${fingerprint} --queue mail --canary 10`;
  expect((await popfleet(`dead show ${fingerprint}`, { isTerminal: true })).stderr).toContain(hint);

  expect((await popfleet(`dead rm ${fingerprint} --queue mail --yes`)).stdout).toBe('1 deleted\n');
  expect((await popfleet(`dead show ${fingerprint}`, { isTerminal: true })).stderr).toContain(
    `dead replay ${fingerprint} --canary 10`,
  );
  expect((await popfleet(`dead rm ${fingerprint} --yes`)).stdout).toBe('1 deleted\n');
  expect((await popfleet(`task get ${second}`)).code).toBe(5);
  expect((await popfleet(`dead rm ${fingerprint} --yes`)).code).toBe(0);
  for (const verb of ['replay', 'rm', 'export'])
    expect(await popfleet(`dead ${verb} 0123456789abcdef`)).toMatchObject({
      code: 5,
      stdout: '',
      stderr: expect.stringContaining('popfleet dead list lists them'),
    });
});

test('a cause that a queue has never known is not there', async () => {
  await die('known');
  for (const verb of ['replay', 'rm', 'export']) {
    expect(await popfleet(`dead ${verb} 0123456789abcdef --queue known`)).toMatchObject({
      code: 5,
      stderr: expect.stringContaining('popfleet dead list lists them'),
    });
    const elsewhere = await popfleet(`dead ${verb} ${FINGERPRINT} --queue default --json`);
    expect(elsewhere.code).toBe(5);
    expect(JSON.parse(elsewhere.stderr)).toMatchObject({
      error: { code: 'not-found', message: expect.stringMatching(/^No task of default .*known/) },
    });
  }
});

test('causes are listed and shown with their newest task', async () => {
  const id = await die('causes');
  const { stdout } = await popfleet('dead list --queue causes --since 1h');
  const row = [
    FINGERPRINT,
    'causes',
    'add',
    '1',
    '1',
    '1',
    expect.any(String),
    `RangeError: ${ERROR.message}`,
  ];
  expect(stdout.trimEnd().split('\t')).toEqual(row);
  const shown = JSON.parse((await popfleet(`dead show ${FINGERPRINT} --json`)).stdout) as object;
  expect(shown).toMatchObject({
    fingerprint: FINGERPRINT,
    items: expect.arrayContaining([expect.objectContaining({ queue: 'causes', sample: id })]),
    sample: { error: { name: 'RangeError' } },
  });
  const shownToPerson = await popfleet(`dead show ${FINGERPRINT}`, { isTerminal: true });
  expect(shownToPerson.stdout).toContain(`RangeError: ${ERROR.message}`);
  expect(shownToPerson.stdout).toContain('versions affected: 2.4.0\n');
  // No worker lives: nobody knows what is new in its code.
  expect((await popfleet('dead list --queue causes --new')).stdout).toBe('');
  expect((await popfleet('dead show 0123456789abcdef')).code).toBe(5);

  // Once none is dead any more it is listed on demand alone.
  expect((await popfleet(`task retry ${id}`)).code).toBe(0);
  expect(await popfleet('dead list --queue causes')).toMatchObject({
    stdout: '',
    stderr: 'Nothing is dead.\n',
  });
  expect((await popfleet('dead list --queue causes --all')).stdout).toContain(FINGERPRINT);
});

test('a cause is ignored for a while: it stands apart, and status says nothing of it', async () => {
  await die('ignored');
  const warned = async (): Promise<boolean> =>
    (await popfleet('status --json')).stdout.includes('ignored: 1 dead');
  expect(await warned()).toBe(true);
  const line = `dead ignore ${FINGERPRINT} --queue ignored`;
  const { code, stdout } = await popfleet(`${line} --until 7d --more-than 9`);
  expect([code, stdout]).toEqual([
    0,
    expect.stringMatching(/\tignored\tadd\t1\t.*Z or more than 10 in all\t/),
  ]);
  expect(await popfleet('dead list --queue ignored')).toMatchObject({
    stdout: '',
    stderr: expect.stringContaining('dead list --ignored'),
  });
  expect((await popfleet('dead list --queue ignored --ignored')).stdout).toContain(FINGERPRINT);
  expect(await warned()).toBe(false);
  for (const until of ['yesterday', '2020-01-01', '-1h']) {
    const refused = await popfleet(`${line} --until=${until}`);
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('still to come')]);
  }
  expect((await popfleet(`dead heed ${FINGERPRINT} --queue ignored`)).code).toBe(0);
  expect((await popfleet('dead list --queue ignored')).stdout).toContain(FINGERPRINT);
  expect(await warned()).toBe(true);
});

test('tasks are listed by tag, error and time', async () => {
  const sent = { queue: 'listed', tags: ['eu'] };
  const id = await send(server.url(), 'add', { one: 1, two: 2 }, sent);
  const ids = async (conditions: string): Promise<readonly string[]> => {
    const { stdout } = await popfleet(`task list --queue listed ${conditions} --json`);
    return (JSON.parse(stdout) as { readonly items: readonly { readonly id: string }[] }).items.map(
      (task) => task.id,
    );
  };
  expect(await ids('--tag eu --since 1h')).toEqual([id]);
  expect(await ids('--since 2000-01-01 --until 2100-01-01T00:00:00Z')).toEqual([id]);
  for (const none of ['--tag us', '--until 1h', '--since 2100-01-01', '--error TypeError']) {
    expect(await ids(none), none).toEqual([]);
  }
  for (const wrong of ['yesterday', '5', '2026-99-99', '999999999999d']) {
    expect(await popfleet(`task list --since ${wrong}`)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('such as 1h or 2d'),
    });
  }
});
