// The dashboard: charts of how queues have done, and how it is known that they are whole.

import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { COUNT_FIELDS } from '../../src/store/totals.ts';
import { hasBrowser } from '../support/browser.ts';
import { useDashboard } from '../support/dashboard.ts';
import { eventually } from '../support/eventually.ts';
import { call } from '../support/http.ts';

const { server, redis, page, context, open, goTo, faultsNow } = useDashboard();

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
    const rows = await rowsOf('Wait: p50, p95, p99');
    // The newest slot is of the moment, in which nothing comes.
    expect(rows.at(-3)?.slice(1)).toEqual(['3 ms', '778 ms', '1 s']);
    // Nobody has measured runs.
    expect(await rowsOf('Run time: p50, p95, p99')).toEqual([]);
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
