// The dashboard: dead letters by their causes, operations, the system behind the fleet, and workers.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasBrowser } from '../support/browser.ts';
import { useDashboard } from '../support/dashboard.ts';
import { eventually } from '../support/eventually.ts';
import { createHandWorker, type HandWorker } from '../support/hand-worker.ts';
import { call, post } from '../support/http.ts';
import { makeKey } from '../support/keys.ts';

const reader = makeKey(['read']);
const {
  server,
  redis,
  page,
  folder,
  serve,
  startWorker,
  open,
  goTo,
  send,
  operate,
  until,
  violations,
  faultsNow,
} = useDashboard();

beforeAll(async () => {
  if (hasBrowser) await startWorker();
});

interface Group {
  readonly fingerprint: string;
  readonly name: string;
  readonly dead: number;
}

describe.skipIf(!hasBrowser)('dead letters', () => {
  /** A queue that no worker serves: what runs again there waits until the test takes it. */
  const QUEUE = 'letters';
  const KINDS = [
    ['TypeError', 'this is wrong', 1_200],
    ['RangeError', 'too far', 700],
    ['Error', 'a bare text', 100],
  ] as const;
  let worker: HandWorker;

  async function groups(): Promise<ReadonlyMap<string, Group>> {
    const { body } = await call(`${server().url()}/v1/errors?queue=${QUEUE}`);
    return new Map((body['items'] as Group[]).map((group) => [group.name, group]));
  }

  async function openGroup(name: string): Promise<void> {
    await goTo('dead', 'Dead letters');
    await page()
      .getByRole('link', { name: new RegExp(`^${name} `) })
      .click();
    await page()
      .getByRole('heading', { level: 1, name: new RegExp(`^${name} `) })
      .waitFor();
  }

  beforeAll(async () => {
    worker = createHandWorker(redis().url);
    for (let batch = 0; batch < 2; batch += 1) {
      const tasks = Array.from({ length: 1_000 }, () => ({
        type: 'fail',
        input: { how: 'text' },
        maxAttempts: 1,
        queue: QUEUE,
      }));
      const answer = await post(`${server().url()}/v1/tasks/batch`, tasks);
      expect(answer.status).toBe(202);
    }
    for (const [name, message, count] of KINDS) {
      for (let left = count; left > 0; left -= 100) await worker.fail(QUEUE, 100, { name, message });
    }
    await open(`${server().url()}/ui/#/dead`);
  });
  afterAll(() => worker?.close());

  test('2,000 of three kinds are three groups with exact numbers', async () => {
    const rows = page().locator('main tbody tr');
    await rows.nth(2).waitFor();
    for (const [name, , count] of KINDS) {
      const row = rows.filter({ hasText: `${name} ` }).filter({ hasText: count.toLocaleString('en') });
      expect(await row.count(), name).toBe(1);
    }
    expect(await rows.locator('.failure > div').allTextContents()).toEqual(
      KINDS.map(() => 'attempts: 1, versions: 2.4.0'),
    );
    // All have died within the last hour, or at its end.
    await rows
      .filter({ hasText: 'bare text' })
      .getByRole('img', { name: /^100 in 24 hours/ })
      .waitFor();
    // The number above counts the same tasks.
    await page().getByText('2,000 tasks have failed for good').waitFor();
  });

  test('a few are tried first: when these fail again it stops, and says so', async () => {
    await openGroup('TypeError');
    await expect
      .poll(() => page().locator('.facts').first().textContent())
      .toContain('Attempts used1Versions affected2.4.0');
    await page().getByRole('button', { name: 'Try some first' }).click();
    const dialog = page().getByRole('dialog', { name: 'Try some first' });
    await dialog.getByText('1,200 tasks', { exact: true }).waitFor();
    await dialog.getByText('The first 10 of them now.').waitFor();
    expect(await dialog.getByText('This takes about').count()).toBe(0);
    expect(await violations()).toEqual([]);
    await dialog.getByLabel(/^Reason/).fill('a canary');
    await dialog.getByRole('button', { name: 'Try some first' }).click();
    await page().getByText('It waits for the ends of the others.').waitFor();
    await worker.fail(QUEUE, 10, { name: 'TypeError', message: 'this is wrong' });
    await page().locator('h1 .is-dead').waitFor();
    await page().getByText('Too many were dead again, so it has stopped.').waitFor();
    await page().getByText('a canary').waitFor();
    expect((await groups()).get('TypeError')?.dead).toBe(1_200);
  });

  test('one that watches is cancelled; the list has it', async () => {
    const filter = { queue: QUEUE, state: 'dead', fingerprint: (await groups()).get('Error')?.fingerprint };
    const id = await operate({ action: 'retry', filter, first: 5, stopAfterErrors: 2 });
    await goTo(`operations/${id}`, /^Retry the first 5/);
    await page().getByText('It waits for the ends of the others.').waitFor();
    await page().getByRole('button', { name: 'Cancel' }).click();
    await page().getByRole('dialog', { name: 'Cancel' }).getByRole('button', { name: 'Cancel' }).click();
    await page().locator('h1 .is-cancelled').waitFor();
    await goTo('operations', 'Operations');
    await page().locator(`a[href="#/operations/${id}"]`).waitFor();
    await worker.fail(QUEUE, 5, { name: 'Error', message: 'a bare text' });
  });

  test('one group is run again, and no task of another', async () => {
    await openGroup('Error');
    await page().getByRole('button', { name: 'Retry all' }).click();
    const dialog = page().getByRole('dialog', { name: 'Retry all' });
    await dialog.getByText('100 tasks').waitFor();
    await dialog.getByRole('button', { name: 'Retry all' }).click();
    await page().getByRole('heading', { name: '100 of 100 tasks done' }).waitFor();
    await expect.poll(() => page().locator('progress').getAttribute('value')).toBe('100');
    const left = await groups();
    expect(KINDS.map(([name]) => left.get(name)?.dead ?? 0)).toEqual([1_200, 700, 0]);
    await goTo('dead', 'Dead letters');
    await page().getByText('1,900 tasks have failed for good').waitFor();
    await expect.poll(() => page().locator('.numbers .is-dead').textContent()).toContain('1,900 dead');
    await worker.fail(QUEUE, 100, { name: 'Error', message: 'a bare text' });
  });

  test('one group is deleted, after the name of its queue was typed; the others stay as they were', async () => {
    await openGroup('TypeError');
    await page().getByRole('button', { name: 'Delete' }).click();
    const dialog = page().getByRole('dialog', { name: 'Delete' });
    await dialog.getByText('1,200 tasks', { exact: true }).waitFor();
    await dialog.getByText('This takes about 1 s.').waitFor();
    await expect.poll(() => dialog.getByRole('button', { name: 'Delete' }).isDisabled()).toBe(true);
    await dialog.getByLabel(/^More than/).fill(QUEUE);
    await dialog.getByRole('button', { name: 'Delete' }).click();
    await page().locator('h1 .is-succeeded').waitFor();
    await page().getByRole('heading', { name: '1,200 of 1,200 tasks done' }).waitFor();
    await expect.poll(() => page().locator('progress').getAttribute('value')).toBe('100');
    const left = await groups();
    expect(KINDS.map(([name]) => left.get(name)?.dead ?? 0)).toEqual([0, 700, 100]);
    await goTo('dead', 'Dead letters');
    await page().getByText('800 tasks have failed for good').waitFor();
    await expect.poll(() => page().locator('.numbers .is-dead').textContent()).toContain('800 dead');
  });

  test('the tasks of one group are saved as a file', async () => {
    await openGroup('Error');
    const [file] = await Promise.all([
      page().waitForEvent('download'),
      page()
        .getByRole('button', { name: `Export from ${QUEUE}` })
        .click(),
    ]);
    const lines = readFileSync(await file.path(), 'utf8')
      .trimEnd()
      .split('\n');
    const tasks = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(new Set(tasks.map(({ id }) => id)).size).toBe(100);
    expect(tasks[0]).toMatchObject({ state: 'dead', input: { how: 'text' }, error: { name: 'Error' } });
  });

  test('one group is moved to another queue, where its tasks run again', async () => {
    await until(await send('add', { one: 1, two: 2 }, { queue: 'mail' }), 'succeeded');
    await openGroup('Error');
    await page().getByRole('button', { name: 'Move' }).click();
    const dialog = page().getByRole('dialog', { name: 'Move' });
    await expect.poll(() => dialog.getByRole('button', { name: 'Move' }).isDisabled()).toBe(true);
    await dialog.getByLabel('To the queue').selectOption('mail');
    await dialog.getByText('100 tasks').waitFor();
    await dialog.getByRole('button', { name: 'Move' }).click();
    await page().locator('h1 .is-succeeded').waitFor();
    await eventually(async () => {
      const { body } = await call(`${server().url()}/v1/errors?queue=mail`);
      return (body['items'] as Group[]).some(({ dead }) => dead === 100);
    });
    expect((await groups()).get('RangeError')?.dead).toBe(700);
  });

  test('a group is ignored for a while, and stands apart', async () => {
    await openGroup('RangeError');
    await page()
      .getByRole('combobox', { name: 'Ignore in letters' })
      .selectOption({ label: 'until its count has doubled' });
    await page().getByRole('button', { name: 'Ignore in letters' }).click();
    await page().getByText('until more than', { exact: false }).waitFor();
    expect(await faultsNow('ignored group')).toEqual([]);
    const { body } = await call(`${server().url()}/v1/queues/${QUEUE}`);
    expect(body['deadIgnored']).toBe(700);

    await goTo('dead', 'Dead letters');
    const failures = (): Promise<string[]> => page().locator('.failure b').allTextContents();
    await expect.poll(failures).toContain('TypeError');
    // No worker serves the queue of those; that of the other one has run it.
    await page().getByLabel('First seen').selectOption({ label: 'since the workers started' });
    await expect.poll(failures).not.toContain('TypeError');
    await expect.poll(failures).toContain('Error');
    await page().getByLabel('First seen').selectOption({ label: 'any time' });
    await page().getByLabel('Show').selectOption({ label: 'those that are ignored' });
    await expect.poll(failures).toEqual(['RangeError']);
    await page().locator('.failure a').click();
    await page().getByRole('button', { name: 'Heed again in letters' }).click();
    await page().getByRole('button', { name: 'Ignore in letters' }).waitFor();
  });

  test('what an operation leaves out has a reason', async () => {
    const running = await send(
      'speaking',
      { until: join(folder(), 'never'), yields: true },
      { queue: 'mail' },
    );
    await until(running, 'running');
    const id = await operate({ action: 'delete', filter: { queue: 'mail', type: 'speaking' } });
    await goTo(`operations/${id}`, /^Delete/);
    await page().locator('h1 .is-succeeded').waitFor();
    await expect.poll(() => page().locator('.facts').first().textContent()).toContain('Skipped: they ran1');
    await post(`${server().url()}/v1/tasks/${running}/cancel`, {});
    await until(running, 'cancelled');
  });
});

describe.skipIf(!hasBrowser)('the system', () => {
  test('Redis, the server, its limits, and that every queue adds up', async () => {
    await goTo('system', 'System');
    await page().getByText('evicts nothing').waitFor();
    const row = page().locator('main tbody tr').filter({ hasText: 'mail' });
    await expect.poll(() => row.locator('.is-succeeded').textContent()).toContain('balanced');
    await page().getByText(`process ${process.pid}`).waitFor();
    await page().getByText('MAX_QUEUES').waitFor();
    const [file] = await Promise.all([
      page().waitForEvent('download'),
      page().getByRole('button', { name: 'Save diagnostics' }).click(),
    ]);
    const saved = readFileSync(await file.path(), 'utf8');
    const failures = expect.arrayContaining([expect.objectContaining({ name: 'RangeError', dead: 700 })]);
    expect(JSON.parse(saved)).toMatchObject({
      failures: { items: failures },
      system: { server: { pid: process.pid } },
    });
    expect(saved).not.toContain('a bare text');
    await redis().client.config('SET', 'maxmemory-policy', 'allkeys-lru');
    try {
      await page().getByText('Redis may evict tasks (maxmemory-policy allkeys-lru)').waitFor();
    } finally {
      await redis().client.config('SET', 'maxmemory-policy', 'noeviction');
    }
  });

  test('these screens have no fault that axe finds, light and dark, and fit a narrow phone', async () => {
    const { body } = await call(`${server().url()}/v1/errors`);
    const [group] = body['items'] as [Group];
    const listed = await call(`${server().url()}/v1/operations`);
    const [operation] = listed.body['items'] as [{ id: string }];
    const faults: string[] = [];
    for (const [place, heading] of [
      ['', /Healthy|need/],
      ['queues/default', /^default/],
      ['dead', 'Dead letters'],
      [`dead/${group.fingerprint}`, new RegExp(`^${group.name}`)],
      ['operations', 'Operations'],
      [`operations/${operation.id}`, /^(?:Retry|Delete|Move)/],
      ['system', 'System'],
    ] as const) {
      await goTo(place, heading);
      faults.push(...(await faultsNow(place)));
    }
    expect(faults).toEqual([]);
  });

  test('a key that may only read sees them without any act, and no operations', async () => {
    const guarded = await serve({ apiKeys: [reader.apiKey] });
    const { body } = await call(`${server().url()}/v1/errors`);
    const [group] = body['items'] as [Group];
    await open(`${guarded.url()}/ui/#/dead/${group.fingerprint}`, true);
    await page().getByLabel('API key').fill(reader.text);
    await page().keyboard.press('Enter');
    await page().getByText('may run them again, move or delete them').waitFor();
    await expect
      .poll(() => page().locator('main button').allTextContents())
      .toEqual(['Copy for an issue', 'Export']);
    await goTo('operations', 'Your key may not see operations');
    await goTo('system', 'System');
    await expect.poll(() => page().locator('main button').allTextContents()).toEqual(['Save diagnostics']);
  });
});

describe.skipIf(!hasBrowser)('workers', () => {
  test('a worker is told to be quiet, to go on, and to stop', async () => {
    await open(`${server().url()}/ui/#/workers`, true);
    const row = page().locator('main tbody tr').filter({ hasText: 'default' });
    await row.getByRole('button', { name: /^Quiet / }).click();
    await row.locator('.is-paused', { hasText: 'quiet' }).waitFor();
    expect(await faultsNow('workers')).toEqual([]);
    await row.getByRole('button', { name: /^Resume / }).click();
    await row.locator('.is-paused').waitFor({ state: 'detached' });
    await row.getByRole('button', { name: /^Stop / }).click();
    await page().getByRole('dialog', { name: 'Stop' }).getByRole('button', { name: 'Back' }).click();
    await row.getByRole('button', { name: /^Stop / }).click();
    await page().getByRole('dialog', { name: 'Stop' }).getByRole('button', { name: 'Stop' }).click();
    await row.locator('.is-warn', { hasText: 'stopping' }).waitFor();
  });
});
