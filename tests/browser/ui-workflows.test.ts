// The dashboard of workflows (the list, the graph, the steps), of batches, and of schedules.

import type { Locator } from 'playwright-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { hasBrowser } from '../support/browser.ts';
import { useDashboard } from '../support/dashboard.ts';
import { eventually } from '../support/eventually.ts';
import { call, post } from '../support/http.ts';

const INPUT = { one: 1, two: 2 };
const { server, page, startWorker, open, faultsNow } = useDashboard();

beforeAll(async () => {
  if (hasBrowser) await startWorker();
});

describe.skipIf(!hasBrowser)('workflows', () => {
  test('a workflow: its graph for mouse, keys and screen readers, its steps, and what can be done', async () => {
    const step = (needs: readonly string[], more: object = {}): object => ({
      type: 'add',
      input: INPUT,
      needs,
      ...more,
    });
    const fails = { type: 'fail', input: { how: 'text' }, maxAttempts: 1 };
    const tasks = {
      first: step([]),
      breaks: step(['first'], fails),
      later: step(['first'], { delayMs: 3_600_000 }),
      last: step(['breaks', 'later']),
      after: step(['breaks'], { onNeedFailed: 'run' }),
    };
    const { body } = await post(`${server().url()}/v1/workflows`, { name: 'a graph', tasks });
    const id = String(body['id']);
    await open(`${server().url()}/ui/#/workflows?name=A`);
    await page().getByRole('link', { name: 'a graph' }).click();
    const node = (name: string, state: string): Locator =>
      page().getByRole('link', { name: new RegExp(`^${name}, ${state}\\b`) });
    await node('breaks', 'dead').waitFor();
    await node('last', 'dead').waitFor();
    await node('after', 'succeeded').waitFor();
    await node('later', 'scheduled').waitFor();
    const row = page().locator('main tbody tr').filter({ hasText: 'later' }).first();
    await row.getByText('scheduled').waitFor();
    expect(await faultsNow('a workflow')).toEqual([]);
    // One stop of the tab key; arrows go along the needs.
    await page().getByRole('button', { name: 'Go to what failed' }).click();
    const focused = (): Promise<string | null> => page().locator(':focus').getAttribute('data-step');
    await expect.poll(focused).toBe('breaks');
    await page().keyboard.press('ArrowLeft');
    await expect.poll(focused).toBe('first');
    await page().keyboard.press('ArrowRight');
    await page().keyboard.press('ArrowDown');
    await expect.poll(focused).not.toBe('first');
    await expect.poll(() => page().locator('.node[tabindex="0"]').count()).toBe(1);
    await page().getByRole('button', { name: 'Fit' }).click();
    await page().getByLabel('Find steps').fill('dead');
    await expect.poll(() => page().locator('main tbody tr').count()).toBe(2);

    await page().getByRole('button', { name: 'Cancel' }).click();
    await page().getByRole('dialog', { name: 'Cancel' }).getByRole('button', { name: 'Cancel' }).click();
    await page().getByRole('button', { name: 'Retry from here' }).click();
    await page().getByText('3 steps run again, under their ids. 2 steps that succeeded do not').waitFor();
    await page().getByRole('dialog').getByRole('button', { name: 'Back' }).click();
    await node('breaks', 'dead').click();
    await page().getByRole('link', { name: 'Retry its workflow…' }).waitFor();
    await page().getByRole('heading', { level: 3, name: 'Needed by' }).waitFor();
    await page().getByRole('link', { name: 'a graph' }).click();
    expect(new URL(page().url()).hash).toBe(`#/workflows/${id}`);
    await node('breaks', 'dead').waitFor();
  });
});

describe.skipIf(!hasBrowser)('batches', () => {
  test('a batch: from the list by keys, how far it is, which tasks failed, one of them retried, and it is closed', async () => {
    const { body } = await post(`${server().url()}/v1/batches`, {
      name: 'letters',
      then: { complete: { type: 'add', input: INPUT, queue: 'mail' } },
    });
    const flaky = { type: 'flaky', input: { failures: 1 }, maxAttempts: 1 };
    const later = { type: 'add', input: INPUT, delayMs: 3_600_000 };
    const added = await post(`${server().url()}/v1/batches/${String(body['id'])}/tasks`, [
      { type: 'add', input: INPUT },
      flaky,
      later,
    ]);
    const [, bad, last] = (added.body['items'] as { readonly id: string }[]).map(
      ({ id }) => `${server().url()}/v1/tasks/${id}`,
    );
    await open(`${server().url()}/ui/#/tasks/${String(body['id'])}`);
    // An id alone does not say of what it is.
    await page().getByRole('link', { name: 'batches', exact: true }).waitFor();
    await page().keyboard.press('g');
    await page().keyboard.press('b');
    await page().getByRole('heading', { level: 1, name: 'Batches' }).waitFor();
    await page().getByLabel('State').selectOption('succeeded');
    await page().getByText('No batch matches').waitFor();
    await page().getByLabel('State').selectOption('open');
    await page().getByRole('link', { name: 'letters', exact: true }).waitFor();
    expect(new URL(page().url()).hash).toBe('#/batches?state=open');
    await page().locator('#main').focus();
    await page().keyboard.press('j');
    await page().keyboard.press('Enter');
    await page()
      .getByRole('heading', { level: 1, name: /^letters/ })
      .waitFor();
    await page().getByRole('heading', { name: '2 of 3 tasks ended' }).waitFor();
    const failed = page().getByRole('region', { name: 'Tasks that did not succeed' });
    await failed.getByText('RangeError').waitFor();
    expect(await faultsNow('a batch')).toEqual([]);
    await failed.getByRole('button', { name: /^Retry / }).click();
    await eventually(async () => {
      const { body: task } = await call(bad ?? '');
      return task['state'] === 'dead' && (task['errors'] as unknown[]).length === 2;
    });
    // With another input it succeeds, and is none of them any more.
    await post(`${bad}/retry`, { input: { failures: 0 } });
    await failed.waitFor({ state: 'detached' });
    await page().getByText('2 succeeded').waitFor();
    await page().getByRole('button', { name: 'Close' }).click();
    await page().getByRole('dialog', { name: 'Close' }).getByRole('button', { name: 'Close' }).click();
    await page().locator('h1 .is-running').waitFor();
    await post(`${last}/cancel`, {});
    await page().locator('h1 .is-cancelled').waitFor();
    await page().getByText('(accepted)').waitFor();
  });
});

describe.skipIf(!hasBrowser)('schedules', () => {
  test('a schedule is typed: when it would run is shown at once, or what is wrong, at the field', async () => {
    await open(`${server().url()}/ui/#/schedules`, true);
    await page().getByRole('button', { name: 'New schedule…' }).click();
    const runs = page().locator('#next-runs li');
    await page()
      .getByLabel(/^Pattern/)
      .fill('0 6 32 * *');
    await page().locator('#schedule-cron[aria-invalid]').waitFor();
    await page()
      .getByLabel(/^Pattern/)
      .fill('30 6 * * *');
    await page()
      .getByLabel(/^Time zone/)
      .fill('Asia/Kathmandu');
    await page().getByLabel('Task type').selectOption('add');
    await page().getByLabel('Input as JSON').fill('{"one":1');
    await page().getByText('This is no JSON').waitFor();
    await page().getByLabel('Input as JSON').fill('{"one":1,"two":2}');
    await expect.poll(() => runs.count()).toBe(5);
    // Half past six there.
    const next = await runs
      .locator('time')
      .evaluateAll((all) => all.map((one) => one.getAttribute('datetime')));
    expect(next.filter((at) => at?.includes('T00:45:00')).length).toBeGreaterThanOrEqual(5);
    expect(await faultsNow('the form of a schedule')).toEqual([]);
    await page().getByLabel(/^Name/).fill('monsoon');
    await page().getByRole('button', { name: 'Make it' }).click();
    const row = page().locator('main tbody tr').filter({ hasText: 'monsoon' });
    await row.getByText('Asia/Kathmandu').waitFor();

    await row.getByRole('button', { name: 'Run now monsoon' }).click();
    await page().getByText('monsoon has made a task').waitFor();
    await eventually(async () => {
      const { body } = await call(`${server().url()}/v1/tasks?queue=default&type=add`);
      return (body['items'] as unknown[]).length > 0;
    });
    await row.getByRole('button', { name: 'Edit monsoon' }).click();
    // Somebody else does, meanwhile.
    await call(`${server().url()}/v1/schedules/monsoon/pause`, { method: 'POST' });
    await page().getByLabel('When').selectOption('every');
    await page()
      .getByLabel(/^Every/)
      .fill('90');
    await page().getByRole('button', { name: 'Save' }).click();
    await row.getByText('every 1 min 30 s').waitFor();
    const { body } = await call(`${server().url()}/v1/schedules/monsoon`);
    expect(body).toMatchObject({ everyMs: 90_000, type: 'add', input: { one: 1, two: 2 }, paused: true });
    expect(body['cron']).toBeUndefined();

    await page().getByRole('button', { name: 'New schedule…' }).click();
    await page().getByLabel('Each tick starts').selectOption('workflow');
    const tasks = { first: { type: 'add', input: { one: 1, two: 2 } } };
    await page().getByLabel('Workflow as JSON').fill(JSON.stringify({ tasks }));
    await page().getByLabel(/^Name/).fill('nightly');
    await page().getByRole('button', { name: 'Make it' }).click();
    const flows = page().locator('main tbody tr').filter({ hasText: 'nightly' });
    await flows.getByText('workflow of 1 step').waitFor();
    await flows.getByRole('button', { name: 'Run now nightly' }).click();
    await page().getByText('nightly has started a workflow').waitFor();
  });
});
