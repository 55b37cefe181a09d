// The dashboard while answers come late, break off, or are refused on the way: what it shows is true, and nothing typed is lost.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Route } from 'playwright-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { hasBrowser } from '../support/browser.ts';
import { useDashboard } from '../support/dashboard.ts';
import { eventually } from '../support/eventually.ts';
import { call } from '../support/http.ts';
import { makeKey } from '../support/keys.ts';

const INPUT = { one: 1, two: 2 };
const LATER = { delayMs: 3_600_000 };
const key = makeKey();
const sender = makeKey(['enqueue']);
const dashboard = useDashboard();
const { server, page, context, serve, folder, startWorker, open, goTo, beat, send, until, violations } =
  dashboard;

beforeAll(async () => {
  if (hasBrowser) await startWorker();
});

/** Holds back an answer until it is let go. */
function hold(): { readonly letGo: () => void; readonly isLetGo: Promise<void> } {
  let letGo = (): void => undefined;
  const isLetGo = new Promise<void>((resolve) => (letGo = resolve));
  return { letGo: () => letGo(), isLetGo };
}

describe.skipIf(!hasBrowser)('answers', () => {
  test('events are refused for a while, as by a proxy: the page of a task follows it all the same', async () => {
    const id = await send('add', INPUT, LATER);
    await open(`${server().url()}/ui/`, true);
    await page().route('**/events', (route) => route.fulfill({ status: 502, body: 'bad gateway' }));
    const refused = page().waitForResponse((response) => response.status() === 502);
    await open(`${server().url()}/ui/#/tasks/${id}`);
    await refused;
    await page().locator('h1 .is-scheduled').waitFor();
    await page().unroute('**/events');
    await page().waitForResponse((response) => response.url().endsWith('/events'));
    await call(`${server().url()}/v1/tasks/${id}/cancel`, { method: 'POST' });
    await page().locator('h1 .is-cancelled').waitFor();
  });

  test('one breaks off: what was read stays, and is said to be old', async () => {
    await send('add', INPUT, LATER);
    await open(`${server().url()}/ui/#/tasks?queue=default&state=scheduled`);
    await page().locator('[data-row]').first().waitFor();
    await page().evaluate(`{
      const real = fetch;
      const broken = () => new ReadableStream({ start: (to) => to.error(new TypeError('broken off')) });
      globalThis.fetch = (url, init) =>
        String(url).includes('/tasks?') ? Promise.resolve(new Response(broken())) : real(url, init);
    }`);
    await page().getByText('These rows may be old: The server does not answer').waitFor();
    expect(await page().locator('[data-row]').count()).toBeGreaterThan(0);
  });

  test.each([
    ['system', 'system', 'This may be old: '],
    ['audit', 'audit?*', 'These rows may be old: '],
  ])('those of the screen %s fail alone: it says that it may be old', async (place, path, words) => {
    await call(`${server().url()}/v1/queues/default/pause`, { method: 'POST' });
    await call(`${server().url()}/v1/queues/default/resume`, { method: 'POST' });
    await open(`${server().url()}/ui/#/${place}`, true);
    await page().locator('main table').first().waitFor();
    await page().route(`**/v1/${path}`, (route) => route.fulfill({ status: 502, body: 'bad gateway' }));
    await page().getByText(words).waitFor();
    expect(await page().locator('main table').count()).toBeGreaterThan(0);
  });

  test('none comes while the page is paused: nothing says that it is tried again', async () => {
    await open(`${server().url()}/ui/`, true);
    await page().getByText('Nothing is lost').waitFor();
    await page().route('**/v1/queues', (route) => route.abort());
    await page().getByText('Next try in').waitFor();
    await page()
      .getByRole('button', { name: /pause live data/ })
      .click();
    await page().getByText('It is not tried again while the page is paused').waitFor();
    await page().unroute('**/v1/queues');
    await page().getByRole('button', { name: 'Try now' }).click();
    await page().getByText('The server does not answer').waitFor({ state: 'detached' });
  });

  test('log: lines that come leave alone who reads above; one comes after the end of its task, and the last lines are there', async () => {
    const end = join(folder(), 'end');
    const id = await send('speaking', { until: end, yields: true });
    await open(`${server().url()}/ui/`, true);
    await open(`${server().url()}/ui/#/tasks/${id}`);
    const log = page().getByLabel('Log', { exact: true });
    await log.getByText('the second line').waitFor();
    let lines = 0;
    await page().route('**/log', (route) => {
      lines += 100;
      return route.fulfill({ json: { lines: Array.from({ length: lines }, (_, nth) => `line ${nth}.`) } });
    });
    const more = async (): Promise<void> => {
      const next = `line ${lines + 99}.`;
      await beat();
      await eventually(async () => (await log.textContent())?.includes(next));
    };
    const toEnd = (): Promise<number> =>
      log.evaluate((box) => box.scrollHeight - box.clientHeight - box.scrollTop);
    await more();
    await eventually(async () => (await toEnd()) < 2);
    await log.evaluate((box) => box.scrollTo(0, 50));
    await more();
    await more();
    expect(await log.evaluate((box) => box.scrollTop)).toBe(50);
    await log.evaluate((box) => box.scrollTo(0, box.scrollHeight));
    await more();
    await eventually(async () => (await toEnd()) < 2);
    await page().unroute('**/log');
    const { letGo, isLetGo } = hold();
    const tellLate = async (route: Route): Promise<void> => {
      await isLetGo;
      await route.fulfill({ json: { lines: ['of a while ago'] } });
    };
    await page().route('**/log', tellLate, { times: 1 });
    await page().waitForRequest('**/log');
    writeFileSync(end, '');
    await until(id, 'succeeded');
    await page().locator('h1 .is-succeeded').waitFor();
    letGo();
    await log.getByText('the last line').waitFor();
  });

  test('one to an earlier choice comes late: it does not count for what is chosen now', async () => {
    for (const queue of ['one', 'two', 'three']) await send('add', INPUT, { queue, ...LATER });
    await open(`${server().url()}/ui/#/tasks?queue=one&state=scheduled`, true);
    // What is on its way when a route begins may never arrive.
    await page().locator('[data-row]').first().waitFor();
    const { letGo, isLetGo } = hold();
    const isOfTwo = (data: string | null): boolean => data?.includes('"to":"two"') ?? false;
    await page().route('**/v1/operations', async (route: Route) => {
      const response = await route.fetch();
      if (isOfTwo(route.request().postData())) await isLetGo;
      await route.fulfill({ response });
    });
    await page().getByRole('button', { name: 'Move all' }).click();
    const dialog = page().getByRole('dialog', { name: 'Move all' });
    const late = page().waitForResponse((response) => isOfTwo(response.request().postData()));
    for (const queue of ['two', 'three']) await dialog.getByLabel('To the queue').selectOption(queue);
    await dialog.getByText('1 task').waitFor();
    letGo();
    await (await late).finished();
    await dialog.getByRole('button', { name: 'Move all' }).click();
    await page().locator('h1 .is-succeeded').waitFor();
    const { body } = await call(`${server().url()}/v1/operations`);
    expect(body['items']).toMatchObject([{ to: 'three' }]);
  });
});

describe.skipIf(!hasBrowser)('what changes by itself', () => {
  test('a dead task that is retried, then deleted elsewhere: its page says so, and still runs another like it', async () => {
    const id = await send('fail', { how: 'type-error' }, { maxAttempts: 1 });
    await until(id, 'dead');
    await open(`${server().url()}/ui/#/tasks/${id}`);
    await page().locator('h1 .is-dead').waitFor();
    const attempts = page().locator('.attempts > li');
    await expect.poll(() => attempts.count()).toBe(1);
    await call(`${server().url()}/v1/tasks/${id}/retry`, { method: 'POST' });
    await eventually(
      async () => ((await call(`${server().url()}/v1/tasks/${id}`)).body['errors'] as unknown[]).length === 2,
    );
    // At once when it is shown again, else at one of the next beats.
    const askedWhenShown = (): Promise<string[]> =>
      page().evaluate(`{
        const [real, asked] = [fetch, []];
        globalThis.fetch = (url, init) => (asked.push(String(url)), real(url, init));
        document.dispatchEvent(new Event('visibilitychange'));
        globalThis.fetch = real;
        asked;
      }`);
    await eventually(async () => (await askedWhenShown()).includes(`${server().url()}/v1/tasks/${id}`));
    await attempts.nth(1).waitFor();
    await call(`${server().url()}/v1/tasks/${id}`, { method: 'DELETE' });
    await page().getByText('This task was removed').waitFor();
    const acts = page().locator('.screen-head .actions').locator('a, button');
    expect(await acts.allTextContents()).toEqual(['Run again…', 'Copy as curl']);
    await acts.first().click();
    await expect.poll(() => page().locator('#field-how').inputValue()).toBe('type-error');
  });

  test('dead letters of the last hour are those of the hour before now, however long the page is open', async () => {
    await until(await send('fail', { how: 'text' }, { maxAttempts: 1 }), 'dead');
    await open(`${server().url()}/ui/#/dead?hours=1`, true);
    const rows = page().locator('.failure');
    await rows.first().waitFor();
    const later = Date.now() + 7_200_000;
    const { letGo, isLetGo } = hold();
    await page().route('**/v1/**', async (route) => {
      if (route.request().url().includes('/errors?')) await isLetGo;
      const response = await route.fetch();
      const headers = { ...response.headers(), date: new Date(later).toUTCString() };
      await route.fulfill({ response, headers });
    });
    const sinceOf = (url: string): number => Number(new URL(url).searchParams.get('since'));
    await page().waitForRequest((request) => sinceOf(request.url()) > later - 3_700_000);
    // What was read stays until there is an answer.
    expect(await rows.count()).toBeGreaterThan(0);
    letGo();
    await page().getByText('No failure matches these filters').waitFor();
    await page().unrouteAll({ behavior: 'wait' });
  });
});

describe.skipIf(!hasBrowser)('what is typed', () => {
  test('a task that is run again keeps its options, and what the form of its type does not show; it is made once', async () => {
    const input = { text: 'shown', more: { of: 'it' } };
    const options = { timeoutMs: 7_000, maxAttempts: 4 };
    const id = await send('context', input, { queue: 'mail', priority: 'high', ...options });
    await open(`${server().url()}/ui/#/types/context?from=${id}`);
    await page().getByText('Not shown here, and kept: more').waitFor();
    const { letGo, isLetGo } = hold();
    const loseAnswer = async (route: Route): Promise<void> => {
      await route.fetch();
      await isLetGo;
      await route.abort();
    };
    await page().route('**/v1/tasks', loseAnswer, { times: 1 });
    const sent = page().waitForRequest('**/v1/tasks');
    await page().getByRole('button', { name: 'Send' }).click();
    await sent;
    for (let times = 0; times < 2; times += 1) await page().keyboard.press('Enter');
    letGo();
    await page().locator('#outcome').getByText('The server does not answer').waitFor();
    await page().getByRole('button', { name: 'Send' }).click();
    const again = await page().locator('#sent a').textContent();
    const made = await call(`${server().url()}/v1/tasks/${again}`);
    expect(made.body).toMatchObject({ input, queue: 'mail', priority: 'high', options });
    const { body } = await call(`${server().url()}/v1/tasks?queue=mail&type=context`);
    const ids = (body['items'] as { readonly id: string }[]).map((one) => one.id);
    expect(new Set(ids)).toEqual(new Set([id, again]));
    // The same once more, when that is meant.
    await page().getByRole('button', { name: 'Send' }).click();
    await expect.poll(() => page().locator('#sent a').textContent()).not.toBe(again);
    // One that cannot be read is no empty form.
    await page().evaluate(`location.hash = '#/types/context?from=${'0'.repeat(36)}'`);
    await page().locator('.problem[role=alert]').waitFor();
  });

  test('a browser that does not keep the session: that is said, and the key can be sent again', async () => {
    const guarded = await serve({ apiKeys: [key.apiKey] });
    await open(`${guarded.url()}/ui/`, true);
    await page().getByLabel('API key').waitFor();
    await page().route('**/v1/session', async (route) => {
      const isSent = route.request().method() === 'POST';
      await (isSent ? route.fulfill({ status: 200, body: '{}' }) : route.continue());
    });
    await page().getByLabel('API key').fill(key.text);
    await page().keyboard.press('Enter');
    await page().getByText('this browser does not keep its cookie').waitFor();
    await page().unroute('**/v1/session');
    await page().keyboard.press('Enter');
    await page().getByRole('button', { name: 'Sign out' }).waitFor();
  });

  describe('a session that ends', () => {
    const typed = () => page().locator('#field-one');
    const text = '4711';
    const signIn = async (apiKey: string): Promise<void> => {
      await page().getByLabel('API key').fill(apiKey);
      await page().keyboard.press('Enter');
    };

    async function typeAndLoseSession(): Promise<void> {
      const guarded = await serve({ apiKeys: [key.apiKey, sender.apiKey] });
      await open(`${guarded.url()}/ui/`, true);
      await signIn(key.text);
      await page().getByRole('button', { name: 'Sign out' }).waitFor();
      await goTo('types/add', 'Run add');
      await typed().fill(text);
      await page().locator('#field-two').fill('2');
      await context().clearCookies();
      await page().getByRole('heading', { name: 'Your session has ended' }).waitFor();
    }

    test('asks for the key, and what was typed is still there to be sent', async () => {
      await typeAndLoseSession();
      expect(await violations()).toEqual([]);
      // Nothing but a key leads back.
      await page().keyboard.press('Escape');
      await page().keyboard.press('Escape');
      await signIn('pf_nothing');
      await page().getByText('This key is not valid.').waitFor();
      await signIn(key.text);
      await page().getByLabel('API key').waitFor({ state: 'detached' });
      expect(await typed().inputValue()).toBe(text);
      await page().getByRole('button', { name: 'Send' }).click();
      await page().locator('#sent a').waitFor();
    });

    test('shows nothing of it to another key', async () => {
      await typeAndLoseSession();
      await signIn(sender.text);
      await page()
        .getByTitle(/enqueue$/)
        .waitFor();
      await page().getByRole('heading', { level: 1, name: 'Run add' }).waitFor();
      expect(await page().getByLabel('Input as JSON').inputValue()).not.toContain(text);
    });
  });
});
