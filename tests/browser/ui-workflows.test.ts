// The dashboard of workflows: the list, the graph, the steps.

import type { Locator } from 'playwright-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { hasBrowser } from '../support/browser.ts';
import { useDashboard } from '../support/dashboard.ts';
import { post } from '../support/http.ts';

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
