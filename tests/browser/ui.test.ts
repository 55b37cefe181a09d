// The dashboard: its files, a task from the form to its end, and what it shows while something is away.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { hasBrowser } from '../support/browser.ts';
import { useDashboard } from '../support/dashboard.ts';
import { eventually } from '../support/eventually.ts';
import { expectBelow, msOf } from '../support/expect-below.ts';
import { call } from '../support/http.ts';
import { rawRequest } from '../support/raw-http.ts';

const INPUT = { one: 1, two: 2 };
const { server, redis, page, folder, startWorker, stopServer, open, goTo, tabTo, send, until, mostAtOnce } =
  useDashboard();
/** One more than numbers of JSON hold exactly. */
const LARGE_INTEGER = '9007199254740993';

describe.skipIf(!hasBrowser)('its files', () => {
  test('the start page leads there, and nobody needs a key for them', async () => {
    for (const path of ['/', '/ui']) {
      const lead = await fetch(`${server().url()}${path}`, { redirect: 'manual' });
      expect([lead.status, lead.headers.get('location')]).toEqual([302, 'ui/']);
    }
    expect((await fetch(`${server().url()}/ui/`)).status).toBe(200);
  });

  test('the policy allows the import map by its hash, and nothing else inline', async () => {
    const answer = await fetch(`${server().url()}/ui/`);
    const map =
      /<script type="importmap">(?<map>.*?)<\/script>/.exec(await answer.text())?.groups?.['map'] ?? '';
    const hash = createHash('sha256').update(map).digest('base64');
    expect(answer.headers.get('content-security-policy')).toBe(
      `default-src 'none'; script-src 'self' 'sha256-${hash}'; style-src 'self'; connect-src 'self'; img-src 'self' data:; require-trusted-types-for 'script'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`,
    );
  });

  test('a first load is small, a second one is a question', async () => {
    const html = await (await fetch(`${server().url()}/ui/`)).text();
    const names = Array.from(html.matchAll(/(?:href|src)="([\w.-]+)"/g), ([, name = '']) => name);
    expect(names.length).toBeGreaterThan(20);
    let bytes = 0;
    for (const name of new Set(['', ...names])) {
      const path = `/ui/${name}`;
      const zipped = await rawRequest(server().url(), { path, headers: { 'accept-encoding': 'br, gzip' } });
      expect([name, zipped.status, zipped.headers['content-encoding']]).toEqual([name, 200, 'gzip']);
      const plain = await rawRequest(server().url(), { path });
      expect(plain.headers['content-encoding']).toBeUndefined();
      expect(plain.headers['etag']).not.toBe(zipped.headers['etag']);
      const again = { 'accept-encoding': 'gzip', 'if-none-match': String(zipped.headers['etag']) };
      expect((await rawRequest(server().url(), { path, headers: again })).status).toBe(304);
      bytes += Number(zipped.headers['content-length']);
    }
    expect(bytes).toBeLessThan(80 * 1_024);
  });
});

describe.skipIf(!hasBrowser)('a fleet', () => {
  test('without any task it shows the call to try, and that nobody would run it', async () => {
    await open(`${server().url()}/`);
    await page().getByRole('heading', { name: 'No tasks yet' }).waitFor();
    expect(page().url()).toBe(`${server().url()}/ui/`);
    await expect
      .poll(() => page().locator('pre').textContent())
      .toBe(`curl -i ${server().url()}/add -H 'content-type: application/json' -d '{"one":1,"two":2}'`);
    await goTo('workers', 'Workers');
    await page().getByRole('heading', { name: 'No worker is alive' }).waitFor();
    await startWorker();
    await page().getByRole('link', { name: 'mail' }).waitFor();
  });

  test('a task is sent by keyboard alone: checked, with the message at the field, and followed to its end', async () => {
    await open(`${server().url()}/ui/#/types/add`);
    const { keyboard } = page();
    await page().getByLabel('one').waitFor();
    await tabTo(page().getByLabel('one'));
    await keyboard.type('many');
    await tabTo(page().getByLabel('two'));
    await keyboard.type('40');
    await keyboard.press('Enter');
    await page().locator('#field-one-fault').waitFor();
    await expect.poll(() => page().locator(':focus').getAttribute('id')).toBe('field-one');
    await expect.poll(() => page().getByLabel('two').inputValue()).toBe('40');
    // A number that would be another one is refused, and stays as it was typed.
    await keyboard.press('Control+A');
    await keyboard.type(LARGE_INTEGER);
    await keyboard.press('Enter');
    await page().locator('#field-one-fault').getByText('send it as text').waitFor();
    await expect.poll(() => page().getByLabel('one').inputValue()).toBe(LARGE_INTEGER);
    await keyboard.press('Control+A');
    await keyboard.type('2');
    await tabTo(page().getByRole('button', { name: 'Check only' }));
    await keyboard.press('Enter');
    await page().getByText('Nothing was sent').waitFor();
    await keyboard.press('Shift+Tab');
    await expect.poll(() => page().locator(':focus').textContent()).toBe('Send');
    await page().getByRole('button', { name: 'As JSON' }).focus();
    await keyboard.press('Enter');
    expect(JSON.parse(await page().getByLabel('Input as JSON').inputValue())).toEqual({ one: 2, two: 40 });
    await expect
      .poll(() => page().locator('.code pre').textContent())
      .toContain(`-d '{"type":"add","input":{"one":2,"two":40}}'`);
    await tabTo(page().getByRole('button', { name: 'Send' }));
    await keyboard.press('Enter');
    // The link gets the focus, a moment after it is there: before that the key would send the task once more.
    await page().locator('#sent a:focus').waitFor();
    await keyboard.press('Enter');
    await page().locator('h1 .is-succeeded').waitFor();
    await expect.poll(() => page().getByLabel('Result', { exact: true }).textContent()).toBe('42');
  });

  test('progress and log come while it runs; cancelled, it says so', async () => {
    const id = await send('speaking', { until: join(folder(), 'never'), yields: true });
    await open(`${server().url()}/ui/#/tasks/${id}`);
    await page().getByText('on the way').waitFor();
    await page().getByLabel('Log', { exact: true }).getByText('the second line').waitFor();
    await expect.poll(() => page().locator('progress').getAttribute('value')).toBe('40');
    await expect.poll(() => page().locator('.timeline .is-now').textContent()).toMatch(/^running for /);
    const cancel = page().getByRole('dialog', { name: 'Cancel' }).getByRole('button', { name: 'Cancel' });
    await page().keyboard.press('c');
    await cancel.waitFor();
    // The dialog keeps the focus until it is closed; then the button has it again.
    const isWithin = (): Promise<boolean> =>
      page().evaluate<boolean>(
        "document.activeElement === document.body || document.activeElement.closest('dialog[open]') !== null",
      );
    for (const key of ['Tab', 'Tab', 'Tab', 'Tab', 'Shift+Tab', 'Shift+Tab', 'Shift+Tab', 'Shift+Tab']) {
      await page().keyboard.press(key);
      expect(await isWithin()).toBe(true);
    }
    await page().keyboard.press('Escape');
    await cancel.waitFor({ state: 'hidden' });
    await expect.poll(() => page().locator(':focus').getAttribute('id')).toBe('cancel');
    await page().keyboard.press('Enter');
    await tabTo(cancel);
    await page().keyboard.press('Enter');
    await page().locator('h1 .is-cancelled').waitFor();
    await page().locator('.timeline').getByText('asked to be cancelled').waitFor();
  });

  test('a dead task shows each attempt, and is retried or deleted', async () => {
    const id = await send(
      'fail',
      { how: 'type-error' },
      { maxAttempts: 2, backoff: { type: 'fixed', baseMs: 10, jitter: 'none' } },
    );
    await until(id, 'dead');
    await open(`${server().url()}/ui/#/tasks?state=dead`);
    await page().getByText('TypeError: this is wrong').waitFor();
    await page().locator(`a[href="#/tasks/${id}"]`).click();
    await page().locator('.timeline').getByText('attempt 2 failed: TypeError').waitFor();
    await expect.poll(() => page().locator('.attempts > li').count()).toBe(2);
    // A shortcut of the browser is none of the page, whose own is the same letter.
    await page().evaluate(`addEventListener('keydown', ({ key, defaultPrevented }) => {
      if (key === 'r') sessionStorage.setItem('prevented', defaultPrevented);
    })`);
    await page().keyboard.press('Control+r');
    await eventually(async () => (await page().evaluate("sessionStorage.getItem('prevented')")) === 'false');
    expect((await call(`${server().url()}/v1/tasks/${id}`)).body['state']).toBe('dead');
    await page().getByRole('button', { name: 'Retry' }).waitFor();
    await page().keyboard.press('r');
    await page().getByText('It is ready again').waitFor();
    await until(id, 'dead');
    await page().locator('h1 .is-dead').waitFor();
    await page().getByRole('button', { name: 'Delete' }).click();
    await page().getByRole('dialog', { name: 'Delete' }).getByRole('button', { name: 'Delete' }).click();
    await page().getByText('This task was removed').waitFor();
    expect((await call(`${server().url()}/v1/tasks/${id}`)).status).toBe(404);
  });

  test('a paused queue is the reason, and the button beside it resumes', async () => {
    await until(await send('add', INPUT, { queue: 'mail' }), 'succeeded');
    await open(`${server().url()}/ui/#/queues/mail`);
    await page().getByRole('button', { name: 'Pause', exact: true }).click();
    const asked = page().getByRole('dialog', { name: 'Pause' });
    await asked.getByLabel('Reason').fill('the database moves');
    await asked.getByRole('button', { name: 'Pause' }).click();
    await page().locator('h1 .is-paused').waitFor();
    const id = await send('add', INPUT, { queue: 'mail' });
    await page().getByText('“the database moves”, since').waitFor();
    await open(`${server().url()}/ui/#/tasks/${id}`);
    await page().getByText('The queue "mail" is paused: the database moves').waitFor();
    await tabTo(page().getByRole('button', { name: 'Resume' }));
    await page().keyboard.press('Enter');
    await page().locator('h1 .is-succeeded').waitFor();
  });

  test('a payload is text with all of its digits; one of five megabytes is soon there, and cut', async () => {
    const text = `${LARGE_INTEGER}<script>document.title='owned'</script><img src=x onerror="document.title='owned'">`;
    const small = await send('greet', { name: text });
    const large = await send('greet', { name: 'x'.repeat(1_000_000) });
    const larger = await send('greet', { name: 'x'.repeat(5_000_000) }, { delayMs: 3_600_000 });
    await until(large, 'succeeded');
    await open(`${server().url()}/ui/#/tasks/${small}`);
    await page().getByLabel('Input', { exact: true }).waitFor();
    await expect
      .poll(() => page().getByLabel('Input', { exact: true }).textContent())
      .toContain(JSON.stringify(text));
    await expect.poll(() => page().locator('main script, main img').count()).toBe(0);
    expect(await page().title()).not.toContain('owned');
    const cut = page().getByLabel('Input', { exact: true }).filter({ hasText: 'xxxx' });
    await page().evaluate(`location.hash = '#/tasks/${large}'`);
    await cut.waitFor();
    expect((await cut.textContent())?.length).toBeLessThan(20_000);
    await page().getByRole('button', { name: 'Show all' }).first().click();
    await eventually(async () => ((await cut.textContent())?.length ?? 0) > 1_000_000);
    await expectBelow(2_000, async () => {
      await goTo('tasks', 'Tasks');
      return msOf(async () => {
        await goTo(`tasks/${larger}`, /^greet/);
        await cut.waitFor();
      });
    });
    expect((await cut.textContent())?.length).toBeLessThan(20_000);
    const [file] = await Promise.all([
      page().waitForEvent('download'),
      page().getByRole('button', { name: 'Save as a file' }).click(),
    ]);
    expect(JSON.parse(readFileSync(await file.path(), 'utf8'))).toEqual({ name: 'x'.repeat(5_000_000) });
    const list = await fetch(`${server().url()}/v1/tasks?limit=50`);
    expect((await list.arrayBuffer()).byteLength).toBeLessThan(40_960);
  });
});

describe.skipIf(!hasBrowser)('when something is away', () => {
  const number = (): Promise<string | null> => page().locator('.conservation b').first().textContent();

  test('the server: what was read stays, and grows old; it comes back by itself, and nothing is asked twice at once', async () => {
    await open(`${server().url()}/ui/`);
    await page().getByText('Nothing is lost').waitFor();
    const before = await number();
    const banner = page().getByText('The server does not answer.');
    let start: (() => Promise<void>) | undefined;
    const goAndCome = async (): Promise<void> => {
      await expectBelow(3_000, async () => {
        await start?.();
        await banner.waitFor({ state: 'detached' });
        start = await stopServer();
        return msOf(() => banner.waitFor());
      });
      expect(await number()).toBe(before);
      const age = async (): Promise<number | undefined> => {
        const text = (await page().locator('.banner').textContent()) ?? '';
        return Number(/What you see is (\d+)/.exec(text)?.[1]) || undefined;
      };
      const first = await eventually(age);
      await eventually(async () => ((await age()) ?? 0) > first);
      await start?.();
      await banner.waitFor({ state: 'detached' });
      await until(await send('add', INPUT), 'succeeded');
      await eventually(async () => (await number()) !== before);
    };
    expect(await mostAtOnce(goAndCome)).toBe(1);
  });

  test('Redis: the same', async () => {
    await open(`${server().url()}/ui/`);
    await page().getByText('Nothing is lost').waitFor();
    const before = await number();
    await redis().signal('SIGSTOP');
    try {
      await page().getByText('Redis does not answer.').waitFor();
      expect(await number()).toBe(before);
    } finally {
      await redis().signal('SIGCONT');
    }
    await page().getByText('Redis does not answer.').waitFor({ state: 'detached' });
  });

  test('paused, nothing moves until it goes on', async () => {
    await open(`${server().url()}/ui/`);
    await page().getByText('Nothing is lost').waitFor();
    await page()
      .getByRole('button', { name: /pause live data/ })
      .click();
    const asked: string[] = [];
    page().on('request', (request) => asked.push(request.url()));
    const before = await number();
    await until(await send('add', INPUT), 'succeeded');
    expect(await number()).toBe(before);
    expect(asked).toEqual([]);
    await page()
      .getByRole('button', { name: /go on with live data/ })
      .click();
    await eventually(async () => (await number()) !== before);
  });

  test('a hidden page follows no events, and is up to date once it is shown', async () => {
    const id = await send('add', INPUT, { delayMs: 3_600_000 });
    const streams = async (): Promise<string | undefined> =>
      /^popfleet_sse_streams (\d+)/m.exec(await (await fetch(`${server().url()}/metrics`)).text())?.[1];
    await open(`${server().url()}/ui/#/tasks/${id}`);
    await page().locator('h1 .is-scheduled').waitFor();
    await eventually(async () => (await streams()) === '1');
    const hide = (isHidden: boolean): Promise<unknown> =>
      page().evaluate(`Object.defineProperty(document, 'hidden', { value: ${isHidden}, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'))`);
    await hide(true);
    await eventually(async () => (await streams()) === '0');
    await call(`${server().url()}/v1/tasks/${id}/cancel`, { method: 'POST' });
    await expect.poll(() => page().locator('h1 .is-scheduled').count()).toBe(1);
    await hide(false);
    await page().locator('h1 .is-cancelled').waitFor();
  });

  test('the clock of the browser: times are those of the server', async () => {
    const id = await send('add', INPUT, { delayMs: 3_600_000 });
    await open(`${server().url()}/ui/`, true);
    await page().addInitScript('{ const now = Date.now.bind(Date); Date.now = () => now() + 600_000; }');
    await page().reload();
    await page().goto(`${server().url()}/ui/#/tasks/${id}`);
    await page().locator('.facts time').first().waitFor();
    // `Date` of an answer has whole seconds.
    await expect
      .poll(() => page().locator('.facts').textContent())
      .toMatch(/Accepted(?:now|\d+ s ago|in 1 s)Duein 59 min/);
  });
});
