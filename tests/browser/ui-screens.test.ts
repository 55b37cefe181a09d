// The dashboard: every screen for every eye and hand, for every kind of key, and under a path.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Server } from '../../src/server/server.ts';
import { hasBrowser } from '../support/browser.ts';
import { useDashboard } from '../support/dashboard.ts';
import { call } from '../support/http.ts';
import { makeKey } from '../support/keys.ts';
import { startPathProxy } from '../support/path-proxy.ts';

const INPUT = { one: 1, two: 2 };
const admin = makeKey();
const reader = makeKey(['read']);
const sender = makeKey(['enqueue']);
const dashboard = useDashboard();
const { server, page, serve, context, startWorker, open, goTo, beat, tabTo } = dashboard;
const { send, sendMany, until, violations, faultsNow, faultsZoomed } = dashboard;
let guarded: Server;

beforeAll(async () => {
  if (!hasBrowser) return;
  guarded = await serve({ apiKeys: [admin.apiKey, reader.apiKey, sender.apiKey] });
  await startWorker();
});

describe.skipIf(!hasBrowser)('every screen', () => {
  const screens = (id: string): readonly (readonly [place: string, heading: string | RegExp])[] => [
    ['', /Healthy|need/],
    ['queues', 'Queues'],
    ['queues/default', /^default/],
    ['queues/nowhere', 'There is no queue “nowhere”'],
    ['tasks', 'Tasks'],
    ['tasks?state=cancelled&type=nothing', 'Tasks'],
    [`tasks/${id}`, /^fail/],
    ['tasks/01a2b3c4-0000-7000-8000-000000000000', 'There is no such task'],
    ['workflows', 'Workflows'],
    ['workflows/01a2b3c4-0000-7000-8000-000000000000', 'There is no such workflow'],
    ['batches', 'Batches'],
    ['batches/01a2b3c4-0000-7000-8000-000000000000', 'There is no such batch'],
    ['workers', 'Workers'],
    ['workers/nobody', 'There is no such live worker'],
    ['schedules', 'Schedules'],
    ['types', 'Types'],
    ['types/greet', 'Run greet'],
    ['nowhere', 'There is no such screen'],
  ];

  test('has no fault that axe finds, light and dark, and fits a narrow phone', async () => {
    const id = await send('fail', { how: 'text' }, { maxAttempts: 1 });
    await until(id, 'dead');
    await call(`${server().url()}/v1/schedules/hourly`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ cron: '0 * * * *', type: 'add', input: INPUT }),
    });
    for (const queue of ['default', 'mail']) {
      const inputs = Array.from({ length: 10 }, (_, nth) => ({ one: nth, two: 2 }));
      await until((await sendMany('add', inputs, { queue })).at(-1) ?? '', 'succeeded');
    }
    await open(`${server().url()}/ui/`);
    const faults: string[] = [];
    for (const [place, heading] of screens(id)) {
      await goTo(place, heading);
      faults.push(...(await faultsNow(place)));
    }
    expect(faults).toEqual([]);
  });

  test('nothing moves for those who want no motion, and a zoom of 200 % hides nothing', async () => {
    const faults: string[] = [];
    for (const [place, heading] of [
      ['', /Healthy|need/],
      ['queues/default', /^default/],
      ['tasks', 'Tasks'],
      ['types/greet', 'Run greet'],
    ] as const) {
      await goTo(place, heading);
      faults.push(...(await faultsZoomed(place)));
    }
    expect(faults).toEqual([]);
  });

  test('types say how their runs of a day have gone', async () => {
    await until(await send('fail', { how: 'text' }, { maxAttempts: 1 }), 'dead');
    await goTo('types', 'Types');
    const textOf = async (type: string): Promise<string | null> => {
      await beat();
      return page().locator(`[data-row]:has(a[href="#/types/${type}"])`).textContent();
    };
    await expect.poll(() => textOf('fail')).toContain('100 %'); // With a worker's beat.
    expect(await textOf('add')).toMatch(/1 worker([\d,]+) in 24 hours, at most .* the last\1 ?0 %.* ms/);
  });

  test('the theme is chosen, and remembered', async () => {
    await open(`${server().url()}/ui/`);
    await page().emulateMedia({ colorScheme: 'light' });
    const ground = (): Promise<string> =>
      page().evaluate<string>('getComputedStyle(document.documentElement).backgroundColor');
    await page().getByRole('button', { name: 'Theme: system. Change to light' }).click();
    await page().getByRole('button', { name: 'Theme: light. Change to dark' }).click();
    expect(await ground()).toBe('rgb(15, 20, 27)');
    await page().reload();
    await page().getByRole('button', { name: 'Theme: dark. Change to system' }).waitFor();
    expect(await ground()).toBe('rgb(15, 20, 27)');
    await page().getByRole('button', { name: 'Theme: dark. Change to system' }).click();
  });

  test('keys lead everywhere, and mean nothing while somebody types', async () => {
    await Promise.all([send('add', INPUT), send('add', INPUT)]);
    await open(`${server().url()}/ui/`);
    await page()
      .getByRole('heading', { level: 1, name: /Healthy|need/ })
      .waitFor();
    await page().keyboard.press('g');
    await page().keyboard.press('t');
    await page().getByRole('heading', { level: 1, name: 'Tasks' }).waitFor();
    await expect.poll(() => page().locator(':focus').getAttribute('id')).toBe('main');
    await page().locator('[data-row]').first().waitFor();
    await page().keyboard.press('j');
    await page().keyboard.press('j');
    const link = page().locator('[data-row]').nth(1).locator('a').first();
    const target = await link.getAttribute('href');
    await expect.poll(() => page().locator(':focus').getAttribute('href')).toBe(target);
    await page().keyboard.press('Enter');
    await page().locator('.timeline').waitFor();
    expect(new URL(page().url()).hash).toBe(target);
    await page().keyboard.press('/');
    await page().keyboard.type('gq?');
    await expect.poll(() => page().getByRole('searchbox').inputValue()).toBe('gq?');
    await page().keyboard.press('Enter');
    await page().getByText('A task is found by its whole id').waitFor();
    await page()
      .getByRole('searchbox')
      .fill(target?.replace('#/tasks/', '').toUpperCase() ?? '');
    await page().keyboard.press('Enter');
    await page().locator('.timeline').waitFor();
    expect(new URL(page().url()).hash).toBe(target);
    await page().getByRole('link', { name: 'Skip to the content' }).focus();
    await page().keyboard.press('Enter');
    await page().keyboard.press('?');
    await page().getByRole('dialog', { name: 'Keyboard' }).waitFor();
    await tabTo(page().getByLabel('Single keys are shortcuts'));
    await page().keyboard.press('Space');
    await page().keyboard.press('Escape');
    await page().getByRole('dialog', { name: 'Keyboard' }).waitFor({ state: 'hidden' });
    await page().keyboard.press('g');
    await page().keyboard.press('q');
    expect(new URL(page().url()).hash).toBe(target);
    await page().evaluate('localStorage.clear()');
    await page().reload();
  });

  test('rows stay where they are: what is new waits behind a button', async () => {
    await send('add', INPUT, { queue: 'rows', delayMs: 60_000 });
    await open(`${server().url()}/ui/#/tasks?queue=rows&state=scheduled`);
    await page().locator('[data-row]').waitFor();
    const sooner = await send('add', INPUT, { queue: 'rows', delayMs: 30_000 });
    for (let times = 0; times < 2; times += 1) await beat();
    await page().getByRole('button', { name: '1 new: show' }).waitFor();
    await expect.poll(() => page().locator('[data-row]').count()).toBe(1);
    await page().getByRole('button', { name: '1 new: show' }).click();
    await page().locator(`[data-row] a[href="#/tasks/${sooner}"]`).waitFor();
    await expect.poll(() => page().locator('[data-row]').count()).toBe(2);
    // The address alone makes the same view, and the count beside the filter is that of the list.
    await page().getByText('2 scheduled in rows.').waitFor();
  });
});

describe.skipIf(!hasBrowser)('keys', () => {
  async function signIn(text: string): Promise<void> {
    await open(`${guarded.url()}/ui/#/queues/default`, true);
    await page().getByLabel('API key').fill(text);
    await page().getByRole('button', { name: 'Sign in' }).click();
  }

  test('a wrong key is said to be one; a right one opens the place that was asked for', async () => {
    await signIn('pf_nothing');
    await page().getByText('This key is not valid.').waitFor();
    expect(await violations()).toEqual([]);
    await page().getByLabel('API key').fill(admin.text);
    await page().keyboard.press('Enter');
    await page()
      .getByRole('heading', { level: 1, name: /^default/ })
      .waitFor();
    await page().getByRole('button', { name: 'Pause', exact: true }).waitFor();
    expect(await page().evaluate('document.cookie')).toBe('');
    await page().getByRole('button', { name: 'Sign out' }).click();
    await page().getByLabel('API key').waitFor();
    expect((await page().request.get(`${guarded.url()}/v1/session`)).status()).toBe(401);
  });

  test('a key that may only read sees no button that would be refused', async () => {
    const waiting = await send('add', INPUT, { delayMs: 3_600_000 });
    await signIn(reader.text);
    await page()
      .getByRole('heading', { level: 1, name: /^default/ })
      .waitFor();
    const seen: string[] = [];
    for (const [place, heading] of [
      ['queues/default', /^default/],
      [`tasks/${waiting}`, /^add/],
      ['schedules', 'Schedules'],
      ['types', 'Types'],
      ['types/add', 'Run add'],
      ['tasks?state=scheduled', 'Tasks'],
      ['webhooks', /^Your key may not see webhooks/],
      ['audit', /^Your key may not see what was changed/],
    ] as const) {
      await goTo(place, heading);
      await page().locator('main .loading').waitFor({ state: 'detached' });
      seen.push(...(await page().locator('main button, main a.button').allTextContents()));
    }
    expect(new Set(seen)).toEqual(new Set(['Tasks', 'Copy id', 'Copy as curl', 'Copy', 'As JSON']));
    const statuses = await page().evaluate(async (id) => {
      const ask = async (method: string, path: string): Promise<number> =>
        (await fetch(`../v1/${path}`, { method })).status;
      return [
        await ask('POST', 'queues/default/pause'),
        await ask('POST', `tasks/${id}/cancel`),
        await ask('DELETE', `tasks/${id}`),
        await ask('DELETE', 'schedules/hourly'),
      ];
    }, waiting);
    expect(statuses).toEqual([403, 403, 403, 403]);
  });

  test('a second tab is signed in as well, and signed out with the first', async () => {
    await signIn(admin.text);
    await page()
      .getByRole('heading', { level: 1, name: /^default/ })
      .waitFor();
    const other = await context().newPage();
    await other.goto(`${guarded.url()}/ui/#/tasks`);
    await other.getByRole('heading', { level: 1, name: 'Tasks' }).waitFor();
    await page().getByRole('button', { name: 'Sign out' }).click();
    await other.getByLabel('API key').waitFor();
    await other.close();
  });

  test('a form on the page of another site changes nothing, although the session goes along', async () => {
    await signIn(admin.text);
    await page().getByRole('button', { name: 'Pause', exact: true }).waitFor();
    // Another port is another origin of the same site: browsers send it the cookie.
    const action = `${guarded.url()}/v1/queues/default/pause`;
    const elsewhere = createServer((_, response) => {
      response.setHeader('content-type', 'text/html');
      response.end(`<form method="post" action="${action}" enctype="text/plain"><button>Win</button></form>`);
    });
    await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = elsewhere.address() as AddressInfo;
      await page().goto(`http://127.0.0.1:${port}/`);
      const [answer] = await Promise.all([
        page().waitForResponse(action),
        page().getByRole('button', { name: 'Win' }).click(),
      ]);
      expect(answer.status()).toBe(403);
      expect(await answer.request().headerValue('cookie')).toMatch(/^popfleet=/);
      const { body } = await call(`${server().url()}/v1/queues/default`);
      expect(body['paused']).toBe(false);
    } finally {
      await page().goto('about:blank');
      elsewhere.closeAllConnections();
      elsewhere.close();
    }
  });

  test('a key that may only send is told so, and may send', async () => {
    await signIn(sender.text);
    await page().getByRole('heading', { level: 1, name: 'Your key may not see tasks and queues' }).waitFor();
    await goTo('types/add', 'Run add');
    await page().getByLabel('Input as JSON').fill(JSON.stringify(INPUT));
    await page().getByRole('button', { name: 'Send' }).click();
    await page().locator('#sent a').waitFor();
  });
});

describe.skipIf(!hasBrowser)('under a path', () => {
  test.each([
    ['that the proxy takes away', true, undefined],
    ['that it leaves', false, 'http://127.0.0.1/apps'],
  ])('%s everything works', async (_, strips, publicUrl) => {
    const under = publicUrl === undefined ? server() : await serve({ publicUrl });
    const proxy = await startPathProxy(under.url(), '/apps', strips);
    try {
      await open(`${proxy.url}/`, true);
      expect(page().url()).toBe(`${proxy.url}/ui/`);
      const failed: string[] = [];
      page().on('response', (answer) => {
        if (answer.status() >= 400 || !answer.url().startsWith(`${proxy.url}/`)) failed.push(answer.url());
      });
      await page().getByText('Nothing is lost').waitFor();
      await page().getByRole('link', { name: 'Tasks', exact: true }).click();
      await page().locator('[data-row] a').first().click();
      await page().locator('.timeline').waitFor();
      expect(failed).toEqual([]);
    } finally {
      await page().goto('about:blank');
      await proxy.close();
    }
  });
});
