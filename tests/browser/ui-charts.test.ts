// The dashboard: charts of how queues have done, how it is known that they are whole, and what many tasks cost.

import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { encodeContent } from '../../src/protocol/message.ts';
import { newTaskId } from '../../src/protocol/task-id.ts';
import { createProducer } from '../../src/store/producer.ts';
import { COUNT_FIELDS } from '../../src/store/totals.ts';
import { hasBrowser } from '../support/browser.ts';
import { useDashboard } from '../support/dashboard.ts';
import { eventually } from '../support/eventually.ts';
import { expectBelow, msOf } from '../support/expect-below.ts';
import { call, post } from '../support/http.ts';
import { openStore } from '../support/store.ts';
import { wholeReads } from '../support/whole-reads.ts';

const MANY = 20_000;
/** Tasks that a program sends to Redis in one call. */
const A_CALL = 500;
/** More than that is done to tasks only after the name of their queue was typed. */
const A_PART = 1_000;
/** So many are counted before an operation, and no more. */
const MOST_COUNTED = 10_000;
/** What a page shows is read at every third beat at least. */
const BEATS = 3;

interface Operation {
  readonly id: string;
  readonly matched: number;
  readonly state: string;
  readonly done: number;
  readonly skipped: object;
  readonly failed: object;
}

const { server, redis, page, context, open, goTo, beat, operate, faultsNow } = useDashboard();

/** Samples as the sweep writes them, of a queue to which ten tasks a second come, and nothing else. */
async function writeHistory(queue: string): Promise<void> {
  const now = Date.now();
  // Of a hundred tasks ninety wait for less than 5 ms, nine for up to 1 s, and one for up to 2.5 s.
  const sample = (accepted: number): Record<string, number> => ({
    accepted,
    succeeded: accepted,
    'wait-0': (accepted / 100) * 90,
    'wait-7': (accepted / 100) * 9,
    'wait-8': accepted / 100,
  });
  const texts = Array.from({ length: 61 }, (_, step) => {
    const counts = sample(10_000 - step * 100);
    return [now - step * 10_000, ...COUNT_FIELDS.map((field) => counts[field] ?? 0)].join(' ');
  });
  const { client } = redis();
  await client.rpush(`pf:{${queue}}:series`, ...texts);
  await client.hset(`pf:{${queue}}:count`, sample(10_000));
  await client.sadd('pf:queues', queue);
}

/** What is read now and then is read again. */
async function beats(): Promise<void> {
  for (let times = 0; times < 3; times += 1) await beat();
}

/** The rows of the table that stands for a chart: time and values. */
function rowsOf(title: string): Promise<string[][]> {
  const rows = `document.querySelectorAll('table[aria-label="${title}"] tbody tr')`;
  return page().evaluate<string[][]>(
    `Array.from(${rows}, (row) => Array.from(row.children, (cell) => cell.textContent))`,
  );
}

const drawing = (): Promise<string> =>
  page().evaluate<string>("document.querySelector('.chart canvas').toDataURL()");

describe.skipIf(!hasBrowser)('charts', () => {
  beforeAll(async () => {
    await writeHistory('charted');
    await open(`${server().url()}/ui/#/queues/charted`);
    await page().locator('.chart canvas').nth(4).waitFor();
  });

  // The page and the test ask at two times, and the newest of the slots they share may have grown in between: the page asks again with the
  // next samples.
  test('a table has what is drawn, which is what the API says', async () => {
    await eventually(async () => {
      const { body } = await call(`${server().url()}/v1/series?queue=charted`);
      const series = body as unknown as { until: string; stepMs: number; accepted: (number | null)[] };
      const times = new Map(
        series.accepted.slice(0, -1).map((rate, step, all) => {
          const end = Date.parse(series.until) - (all.length - 1 - step) * series.stepMs;
          return [new Date(end).toLocaleTimeString('en-US'), rate] as const;
        }),
      );
      const rows = await rowsOf('Tasks a second');
      expect(rows.length).toBeGreaterThanOrEqual(10);
      expect(rows.length).toBeLessThanOrEqual(13);
      const known = rows.filter(([time = '']) => times.has(time));
      expect(known.length).toBeGreaterThanOrEqual(9);
      for (const [time = '', accepted] of known) {
        const rate = times.get(time);
        expect([time, accepted]).toEqual([time, rate === null || rate === undefined ? '–' : shown(rate)]);
      }
      return true;
    });
  });

  test('percentiles are there over time, where anything is known', async () => {
    const rows = await rowsOf('Wait');
    // The newest slot is of the moment, in which nothing comes.
    expect(rows.at(-3)?.slice(1)).toEqual(['2.8 ms', '778 ms', '1 s']);
    // Nobody has measured runs.
    expect(await rowsOf('Run time')).toEqual([]);
  });

  /** As the page writes a rate. */
  const shown = (rate: number): string => (rate < 10 ? rate.toFixed(1) : String(Math.round(rate)));

  test('the arrow keys tell the numbers, one time after the other', async () => {
    const plot = page().getByRole('group', { name: /^Tasks a second/ });
    await plot.focus();
    await page().keyboard.press('ArrowLeft');
    const said = page().locator('.chart [aria-live]').first();
    await eventually(async () => /accepted .*, succeeded .*, failed /.test((await said.textContent()) ?? ''));
    const before = await said.textContent();
    await page().keyboard.press('ArrowLeft');
    await eventually(async () => (await said.textContent()) !== before);
  });

  test('a part that is dragged over fills all charts, until the whole is asked for', async () => {
    const box = await page().locator('.u-over').first().boundingBox();
    if (!box) throw new TypeError('nothing is drawn');
    const first = (await rowsOf('Backlog'))[0]?.[0];
    await page().mouse.move(box.x + box.width * 0.6, box.y + 20);
    await page().mouse.down();
    await page().mouse.move(box.x + box.width * 0.8, box.y + 20, { steps: 4 });
    await page().mouse.up();
    await page().getByRole('button', { name: 'Whole range' }).waitFor();
    await eventually(async () => (await rowsOf('Backlog'))[0]?.[0] !== first);
    await page().getByRole('button', { name: 'Whole range' }).click();
    await page().getByRole('button', { name: 'Whole range' }).waitFor({ state: 'detached' });
  });

  test('another range is another address; another theme is other colours', async () => {
    await page().getByRole('link', { name: '1 hour' }).click();
    expect(new URL(page().url()).hash).toBe('#/queues/charted?range=1h');
    await page().locator('.chart canvas').nth(4).waitFor();
    await page()
      .getByRole('button', { name: /pause live data/ })
      .click();
    await page().emulateMedia({ colorScheme: 'light' });
    const light = await drawing();
    await page().emulateMedia({ colorScheme: 'dark' });
    await eventually(async () => (await drawing()) !== light);
    await page().emulateMedia({ colorScheme: 'light' });
    await eventually(async () => (await drawing()) === light);
    await page()
      .getByRole('button', { name: /go on with live data/ })
      .click();
  });

  test('a queue shows how it is kept whole, and its numbers are saved as a file when they do not add up', async () => {
    await goTo('queues/charted', /^charted/);
    await page().getByText('How this is checked').click();
    const ledger = page().locator('.ledger');
    await expect
      .poll(() => ledger.locator('tbody tr').nth(1).textContent())
      .toMatch(/^normal.*has its copy$/);
    await ledger.getByText('Balanced at').waitFor();
    expect(await faultsNow('the ledger')).toEqual([]);
    await redis().client.hincrby('pf:{charted}:count', 'accepted', 1);
    try {
      await beats();
      await page().getByText('1 task off').waitFor();
      await ledger.getByText('Last balanced at').waitFor();
      const [file] = await Promise.all([
        page().waitForEvent('download'),
        ledger.getByRole('button', { name: 'Save diagnostics' }).click(),
      ]);
      const text = readFileSync(await file.path(), 'utf8');
      expect(JSON.parse(text)).toMatchObject({ ledgers: [{ queue: 'charted', imbalance: 1 }] });
    } finally {
      await redis().client.hincrby('pf:{charted}:count', 'accepted', -1);
    }
    await beats();
    await ledger.getByText('Balanced at').waitFor();
  });

  test('charts that are left leave nothing behind, and fit where they stand', async () => {
    const comeAndGo = async (times: number): Promise<void> => {
      for (let round = 0; round < times; round += 1) {
        await goTo('queues', 'Queues');
        await expect.poll(() => page().locator('canvas').count()).toBe(0);
        await goTo('queues/charted', /^charted/);
        await page().locator('.chart canvas').nth(4).waitFor();
      }
    };
    const devtools = await context().newCDPSession(page());
    await devtools.send('Performance.enable');
    const listeners = async (): Promise<number> => {
      await devtools.send('HeapProfiler.collectGarbage');
      const { metrics } = await devtools.send('Performance.getMetrics');
      return metrics.find(({ name }) => name === 'JSEventListeners')?.value ?? Number.NaN;
    };
    await comeAndGo(3);
    const before = await listeners();
    await comeAndGo(7);
    await expect.poll(() => page().locator('canvas').count()).toBe(5);
    // A chart has dozens of them. What the browser has not let go of yet, it lets go of soon.
    await eventually(async () => (await listeners()) < before + 7);
    await page().setViewportSize({ width: 400, height: 800 });
    await eventually(async () =>
      page().evaluate<boolean>(
        "[...document.querySelectorAll('.chart canvas')].every((one) => one.getBoundingClientRect().right <= innerWidth)",
      ),
    );
    await page().setViewportSize({ width: 1_280, height: 800 });
  });
});

describe.skipIf(!hasBrowser)('many tasks', () => {
  test(`${MANY} of them cost the page as much as a hundred, and an operation on them all delays nobody`, async () => {
    await fill('others', 4);
    await fill('many', 100);
    await open(`${server().url()}/ui/#/queues/many`, true);
    for (const place of ['', 'tasks?queue=many&state=scheduled']) {
      await (await context().newPage()).goto(`${server().url()}/ui/#/${place}`);
    }
    const few = await costOfAnswers();
    await fill('many', MANY - 100);
    // Two hundred times as many tasks: a page that read them all would cost about as many times as much. A busy machine delays one page more than
    // another, so what is the same is so at one time of some, and about.
    let most = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 4 && most >= 3; round += 1) most = (await costOfAnswers()) / few;
    expect(most).toBeLessThan(3);
    const twoBeats = async (): Promise<void> => {
      for (let count = 0; count < 2; count += 1) await beat();
    };
    expect(await wholeReads(redis().url, twoBeats)).toEqual([]);
    for (const other of context().pages().slice(1)) await other.close();

    // Whoever asks for the queues meanwhile waits about as long as before; what else the machine does meets both now and then.
    await expectBelow(3, async () => {
      const idle = await usualMs();
      const id = await operate(cancelThem);
      const busy = await usualMs();
      await stop(id);
      expect(await operation(id)).toMatchObject({ state: 'cancelled' });
      return busy / idle;
    });
    const left = (await countsOf('many'))['scheduled'] ?? 0;
    expect(left).toBeGreaterThan(A_PART);

    await goTo('tasks?queue=many&state=scheduled', 'Tasks');
    await page()
      .getByText(`${left.toLocaleString('en')} scheduled in many.`)
      .waitFor();
    await page().getByRole('button', { name: 'Cancel all' }).click();
    const dialog = page().getByRole('dialog', { name: 'Cancel all' });
    const counted = `${Math.min(left, MOST_COUNTED).toLocaleString('en')} tasks`;
    await dialog.getByText(left > MOST_COUNTED ? `At least ${counted}` : counted).waitFor();
    const confirm = dialog.getByRole('button', { name: 'Cancel all' });
    expect(await confirm.isDisabled()).toBe(true);
    await dialog.getByLabel(/type the name of the queue/).fill('many');
    await dialog.getByLabel(/Reason/).fill('not needed');
    const [begun] = await Promise.all([
      page().waitForResponse((response) => response.url().endsWith('/v1/operations')),
      confirm.click(),
    ]);
    // It stops when it is told to, and nothing is lost between what is done and what is left.
    await stop(((await begun.json()) as Operation).id);
    await page().locator('h1 .is-cancelled').waitFor();
    const { body } = await call(`${server().url()}/v1/operations?queue=many`);
    const operations = body['items'] as readonly Operation[];
    expect(operations[0]).toMatchObject({ reason: 'not needed' });
    for (const { matched, done, skipped, failed } of operations) {
      expect([matched, skipped, failed]).toEqual([done, {}, {}]);
    }
    const { scheduled, cancelled } = await countsOf('many');
    expect(scheduled).toBeGreaterThan(0);
    expect(cancelled).toBe(operations.reduce((sum, { done }) => sum + done, 0));
    expect((scheduled ?? 0) + (cancelled ?? 0)).toBe(MANY);
    expect((await countsOf('others'))['scheduled']).toBe(4);

    // One goes through all of them to its end.
    const whole = await operate({ action: 'delete', filter: { queue: 'many' } });
    await goTo(`operations/${whole}`, /^Delete/);
    await page().getByRole('heading', { name: '20,000 of 20,000 tasks done' }).waitFor({ timeout: 60_000 });
    expect(await operation(whole)).toMatchObject({ matched: MANY, done: MANY, skipped: {}, failed: {} });
    expect(await countsOf('many')).toMatchObject({ removed: MANY, scheduled: 0, cancelled: 0 });
  });

  const cancelThem = { action: 'cancel', filter: { queue: 'many', state: 'scheduled' } };

  async function operation(id: string): Promise<Operation> {
    return (await call(`${server().url()}/v1/operations/${id}`)).body as unknown as Operation;
  }

  async function stop(id: string): Promise<void> {
    await eventually(async () => (await operation(id)).done > 0);
    await post(`${server().url()}/v1/operations/${id}/cancel`, {});
    await eventually(async () => (await operation(id)).state === 'cancelled');
  }

  /** What nine of ten answers about the queues take at most, of some dozen that are asked for one after the other. */
  async function usualMs(): Promise<number> {
    const took: number[] = [];
    while (took.length < 30) took.push(await msOf(() => call(`${server().url()}/v1/queues`)));
    const sorted = took.toSorted((one, other) => one - other);
    return sorted[Math.floor(sorted.length * 0.9)] ?? Number.NaN;
  }

  /** Puts tasks for later into a queue, without a request for them. */
  async function fill(queue: string, count: number): Promise<void> {
    const content = encodeContent('add', { one: 1, two: 2 });
    const client = await openStore(redis().url);
    try {
      for (let left = count; left > 0; left -= A_CALL) {
        const tasks = Array.from({ length: Math.min(left, A_CALL) }, () => {
          return { id: newTaskId(), content, lane: 'normal', extras: { delayMs: 3_600_000 } } as const;
        });
        await createProducer(client).enqueue(queue, tasks);
      }
    } finally {
      client.disconnect();
    }
  }

  /** Calls of Redis for each answer that the pages get, while they read everything twice. */
  async function costOfAnswers(): Promise<number> {
    const calls = async (): Promise<number> => {
      const stats = await redis().client.info('commandstats');
      const found = stats.matchAll(/^cmdstat_[\w|]+:calls=(\d+)/gm);
      return Array.from(found, ([, count]) => Number(count)).reduce((sum, count) => sum + count, 0);
    };
    let answers = 0;
    const count = (): void => void (answers += 1);
    await beat();
    const before = await calls();
    context().on('response', count);
    for (let times = 0; times < BEATS; times += 1) await beat();
    context().off('response', count);
    return ((await calls()) - before) / answers;
  }

  async function countsOf(queue: string): Promise<Record<string, number>> {
    const { body } = await call(`${server().url()}/v1/queues/${queue}`);
    return body['counts'] as Record<string, number>;
  }
});
