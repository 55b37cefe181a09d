// The dashboard at work: many tasks at once, another input, webhooks, and what it shows while workers die.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { hasBrowser } from '../support/browser.ts';
import { useDashboard } from '../support/dashboard.ts';
import { eventually } from '../support/eventually.ts';
import type { RoleProcess } from '../support/fleet.ts';
import { call } from '../support/http.ts';
import { openReceiver } from '../support/receiver.ts';

const INPUT = { one: 1, two: 2 };
/** Sweeps see that there is something to deliver. */
const SOON = { heartbeatMs: 1_000 };
const LATER = { delayMs: 3_600_000 };
const dashboard = useDashboard(SOON);
const { server, redis, page, open, goTo, beat, send, sendMany, until, faultsNow } = dashboard;

const button = (name: string | RegExp, exact = false): ReturnType<ReturnType<typeof page>['getByRole']> =>
  page().getByRole('button', { name, exact });
const dialog = (name: string): ReturnType<ReturnType<typeof page>['getByRole']> =>
  page().getByRole('dialog', { name });
const heading = (name: string | RegExp): Promise<void> =>
  page().getByRole('heading', { level: 1, name }).waitFor();

async function countsOf(queue: string): Promise<Record<string, number>> {
  const { body } = await call(`${server().url()}/v1/queues/${queue}`);
  return body['counts'] as Record<string, number>;
}

async function stateOf(id: string): Promise<unknown> {
  return (await call(`${server().url()}/v1/tasks/${id}`)).body['state'];
}

describe.skipIf(!hasBrowser)('many tasks', () => {
  test('what is typed finds them: by id, tag, type and state, also those of an error; what is no condition is explained', async () => {
    const id = await send('add', INPUT, { queue: 'found', tags: ['eu', 'night'], ...LATER });
    await send('greet', { name: 'Ada' }, { queue: 'found', tags: ['eu'], ...LATER });
    await open(`${server().url()}/ui/#/tasks?queue=found`);
    const find = page().getByLabel('Find', { exact: true });
    const rows = page().locator('[data-row]');
    await rows.nth(1).waitFor();
    await find.fill('tag:night');
    await find.press('Enter');
    await page().getByRole('link', { name: 'Take away tag night' }).waitFor();
    await eventually(async () => (await rows.count()) === 1);
    await expect.poll(() => rows.locator('a').first().getAttribute('href')).toBe(`#/tasks/${id}`);
    await find.fill('greet tag:eu scheduled');
    await find.press('Enter');
    await page().getByRole('cell', { name: 'greet', exact: true }).waitFor();
    await expect.poll(() => rows.count()).toBe(1);
    expect(new URL(page().url()).hash).toBe('#/tasks?queue=found&state=scheduled&type=greet&tag=eu');
    await page().getByRole('link', { name: 'Take away type greet' }).click();
    await eventually(async () => (await rows.count()) === 2);
    await find.fill('error:Nothing');
    await find.press('Enter');
    await page().getByText('No task in “found” matches').waitFor();
    await page().getByRole('link', { name: 'Clear the filter' }).click();
    await rows.nth(1).waitFor();
    await find.fill('state:gone');
    await find.press('Enter');
    await page().getByText('“state:gone” is no condition.').waitFor();
    await find.fill('tag:eu greet tag:night');
    await find.press('Enter');
    await page().getByText('“tag:night” is a second tag, beside “eu”: one of each is possible.').waitFor();
    await find.fill(id);
    await find.press('Enter');
    await heading(/^add/);
  });

  test('rows are selected by keys, stay selected while others come, and these alone are cancelled', async () => {
    const ids = await sendMany(
      'add',
      Array.from({ length: 4 }, (_, nth) => ({ one: nth, two: 2 })),
      {
        queue: 'chosen',
        ...LATER,
      },
    );
    await open(`${server().url()}/ui/#/tasks?queue=chosen&state=scheduled`);
    await page().locator('[data-row]').nth(3).waitFor();
    for (const key of ['j', 'x', 'j', 'j', 'X']) await page().keyboard.press(key);
    await page().getByText('3 selected').waitFor();
    await page().keyboard.press('Escape');
    await page().getByText('All on this page').waitFor();
    for (const key of ['k', 'x', 'k', 'x']) await page().keyboard.press(key);
    const chosen = await page()
      .locator('[data-row].is-selected a.mono')
      .evaluateAll((links) => links.map((link) => link.getAttribute('href')?.replace('#/tasks/', '')));
    await sendMany('add', [INPUT, INPUT], { queue: 'chosen', delayMs: 60_000 });
    for (let times = 0; times < 2; times += 1) await beat();
    await button('2 new: show').waitFor();
    await expect.poll(() => page().locator('[data-row]').count()).toBe(4);
    await expect.poll(() => page().locator('[data-row].is-selected').count()).toBe(2);
    expect(await faultsNow('selected rows')).toEqual([]);
    await button('Cancel 2').click();
    await dialog('Cancel 2').getByText('2 tasks').waitFor();
    await dialog('Cancel 2')
      .getByLabel(/Reason/)
      .fill('two of four');
    await dialog('Cancel 2').getByRole('button', { name: 'Cancel 2' }).click();
    await eventually(async () => (await countsOf('chosen'))['cancelled'] === 2);
    const cancelled = [];
    for (const id of ids) if ((await stateOf(id)) === 'cancelled') cancelled.push(id);
    expect(new Set(cancelled)).toEqual(new Set(chosen));
  });

  test('two queues that do not add up are two things to act on: too many here make not up for too few there', async () => {
    const { client } = redis();
    await client.hset('pf:{fewer}:count', { accepted: 3, succeeded: 2 });
    await client.hset('pf:{more}:count', { accepted: 3, succeeded: 4 });
    await client.sadd('pf:queues', 'fewer', 'more');
    await open(`${server().url()}/ui/`);
    for (const queue of ['fewer', 'more']) {
      await page()
        .locator('.concerns li', { hasText: `${queue} does not add up: 1 task off.` })
        .waitFor();
    }
    await page().getByText('2 tasks off').waitFor();
    await client.srem('pf:queues', 'fewer', 'more');
  });
});

describe.skipIf(!hasBrowser)('with a worker', () => {
  let worker: RoleProcess | undefined;

  test('a dead task is retried with another input: checked as JSON and by its type, at the field', async () => {
    worker = await dashboard.startWorkerProcess({ LEASE_MS: '2000', HEARTBEAT_MS: '300' });
    const id = await send('flaky', { failures: 9 }, { maxAttempts: 1 });
    await until(id, 'dead');
    await open(`${server().url()}/ui/#/tasks/${id}`);
    await button('Change input…').click();
    await page().locator('#field-failures:focus').waitFor();
    await page().getByLabel('failures').fill('none');
    await button('Retry with this input').click();
    await page().locator('#field-failures-fault').waitFor();
    await page().locator('#field-failures:focus').waitFor();
    await button('As JSON').click();
    await page().getByLabel('Input as JSON').fill('{"failures": 0');
    await page().getByText('Not yet JSON').waitFor();
    expect(await faultsNow('another input')).toEqual([]);
    await page().getByLabel('Input as JSON').fill('{"failures": 0}');
    await page().getByText('This is valid JSON.').waitFor();
    await button('Retry with this input').click();
    await page().locator('h1 .is-succeeded').waitFor();
    await page().locator('.timeline').getByText('attempt 1 failed: RangeError').waitFor();
    await page().getByText('Input edited').waitFor();
    expect((await call(`${server().url()}/v1/tasks/${id}`)).body['input']).toEqual({ failures: 0 });
  });

  test('an endpoint of webhooks is registered, told, told again by hand, and switched off', async () => {
    const receiver = await openReceiver();
    try {
      await open(`${server().url()}/ui/#/webhooks`);
      await page().getByText('There is no endpoint yet').waitFor();
      await button('New endpoint…').click();
      await page().getByLabel('URL').fill('ftp://example.org');
      await button('Register').click();
      await page().locator('#webhook-url-fault').waitFor();
      await page().getByLabel('URL').fill(receiver.url);
      await page().getByLabel('cancelled').uncheck();
      // Twice, as by a double click.
      await page().evaluate(
        "for (const form of Array(2).fill(document.querySelector('#webhook-url').form)) form.requestSubmit()",
      );
      await page()
        .locator('.code pre')
        .getByText(/^whsec_/)
        .waitFor();
      expect(await redis().client.hlen('pf:webhooks')).toBe(1);
      expect(await faultsNow('a new endpoint')).toEqual([]);
      await button('I have it').click();
      // Servers learn of it within two seconds.
      let id = '';
      await eventually(async () => {
        id = await send('add', INPUT);
        await until(id, 'succeeded');
        return (await call(`${server().url()}/v1/tasks/${id}`)).body['webhooks'];
      });
      await eventually(() => receiver.received.length > 0);
      await goTo(`tasks/${id}`, /^add/);
      await page().getByText('What follows').waitFor();
      await page().locator('td .is-succeeded').waitFor();
      await page().getByRole('link', { name: /^wh_/ }).click();
      await heading(receiver.url);
      expect(await faultsNow('an endpoint')).toEqual([]);
      const before = receiver.received.length;
      await page()
        .getByRole('button', { name: /^Resend/ })
        .first()
        .click();
      await eventually(() => receiver.received.length > before);
      const ids = receiver.received.map(({ headers }) => headers['webhook-id']);
      expect(new Set(ids).size).toBeLessThan(ids.length);
      await button('Rotate secret').click();
      await dialog('Rotate secret').getByRole('button', { name: 'Rotate secret' }).click();
      await page()
        .locator('.code pre')
        .getByText(/^whsec_/)
        .waitFor();
      await page().getByText('signs until').waitFor();
      await button('Disable').click();
      await dialog('Disable').getByRole('button', { name: 'Disable' }).click();
      await page().locator('h1 .is-paused').waitFor();
      await button('Enable').click();
      await page().locator('h1 .is-succeeded').waitFor();
      await button('Delete').click();
      await dialog('Delete').getByRole('button', { name: 'Delete' }).click();
      await page().getByText('There is no endpoint yet').waitFor();
      expect(await redis().client.hlen('pf:webhooks')).toBe(0);
    } finally {
      await receiver.close();
    }
  });

  test('what was changed is in the audit, which is read by operation', async () => {
    await open(`${server().url()}/ui/#/audit`);
    await page().getByRole('link', { name: 'rotateWebhookSecret' }).click();
    await eventually(async () => (await page().locator('[data-row]').count()) === 1);
    await page().getByRole('link', { name: 'Clear' }).click();
    await page().getByRole('link', { name: 'startOperation' }).first().waitFor();
    await page().getByText('two of four').waitFor();
    expect(await faultsNow('the audit')).toEqual([]);
    await goTo('audit?operation=nothing', 'Audit');
    await page().getByText('No change matches').waitFor();
  });

  test('a handler that never yields is ended when it is cancelled, and the timeline says how soon', async () => {
    const id = await send('spin', {});
    await until(id, 'running');
    await open(`${server().url()}/ui/#/tasks/${id}`);
    await page().locator('.timeline .is-now').waitFor();
    // From its cell among those of its worker, which is empty then.
    const { body } = await call(`${server().url()}/v1/tasks/${id}`);
    await page()
      .locator(`a[href="#/workers/${String(body['worker'])}"]`)
      .click();
    const cells = page().locator('.slots > li');
    const own = cells.filter({ has: page().locator(`a[href="#/tasks/${id}"]`) });
    await own.getByText(/^\d.* m?s$/).waitFor();
    expect(await cells.count()).toBe(2);
    // Another one says how far it is, and how long it may still run.
    const end = join(dashboard.folder(), 'end');
    const other = await send('speaking', { until: end, yields: true }, { timeoutMs: 600_000 });
    const cell = cells.filter({ has: page().locator(`a[href="#/tasks/${other}"]`) });
    await cell.getByText('40 %, on the way').waitFor();
    await cell.getByText(/9 min( \d+ s)? left/).waitFor();
    expect(await faultsNow('a worker')).toEqual([]);
    writeFileSync(end, '');
    await own.getByRole('button', { name: /^Cancel spin/ }).click();
    await dialog('Cancel').getByRole('button', { name: 'Cancel' }).click();
    await own.waitFor({ state: 'detached' });
    await cells.filter({ hasText: 'free' }).nth(1).waitFor();
    await page().goBack();
    await page().locator('h1 .is-cancelled').waitFor();
    await page().locator('.timeline').getByText('asked to be cancelled').waitFor();
    await page()
      .locator('.timeline')
      .getByText(/its thread was ended within [\d.]+ m?s/)
      .waitFor();
  });

  test('a worker that is killed leaves the page, which says so; its task waits again, and nothing is lost at any moment', async () => {
    const id = await send('spin', {});
    await until(id, 'running');
    await open(`${server().url()}/ui/#/workers`);
    const { body } = await call(`${server().url()}/v1/tasks/${id}`);
    const name = String(body['worker']);
    const live = page().getByRole('region', { name: 'Workers', exact: true }).getByText(name);
    await live.waitFor();
    worker?.signal('SIGKILL');
    const samples: unknown[] = [];
    await eventually(async () => {
      samples.push((await call(`${server().url()}/v1/queues/default/ledger`)).body['imbalance']);
      return (await stateOf(id)) === 'ready';
    });
    expect(new Set(samples)).toEqual(new Set([0]));
    // With its lease goes its row.
    await live.waitFor({ state: 'detached' });
    const lost = page().getByRole('region', { name: 'Lost workers' }).locator('tr', { hasText: name });
    await expect.poll(() => lost.filter({ hasText: 'default' }).locator('td').nth(3).textContent()).toBe('1');
    await lost.filter({ hasText: 'mail' }).waitFor();
    expect(await faultsNow('lost workers')).toEqual([]);
    await goTo('', /need/);
    await page().getByText('was lost in the last five minutes; 1 task has gone back').waitFor();
    await goTo('queues/default', /^default/);
    await page().getByText('balanced').waitFor();
    await goTo(`tasks/${id}`, /^spin/);
    await page().getByText('Lost workers').waitFor();
    await page()
      .getByText(/No worker serves this queue/)
      .first()
      .waitFor();
    // As somebody who passes by would start one again.
    await dashboard.startWorker();
    await page().locator('h1 .is-running').waitFor();
  });
});
