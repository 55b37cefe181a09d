// npm run pictures [-- --minutes 11]: makes the pictures of the README anew. A server and three workers run the tasks of a small shop for so
// many minutes, with more and with fewer of them, and then the overview is photographed, light and dark. Build first; needs chromium.

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Popfleet } from 'popfleet/client';
import { startBrowser } from './bench/browser.mjs';
import { end, freePort, ROOT, start, untilReady } from './bench/processes.mjs';
import { startRedis } from './bench/redis.mjs';

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '11' } } });
const LASTS_MS = Number(values.minutes) * 60_000;
/** Mails a second at the least, and how many more at the most. */
const MAILS = { least: 3, more: 9 };
const WAVE_MS = 240_000;

const redis = await startRedis({ aof: false });
const port = await freePort();
const url = `http://127.0.0.1:${port}`;
const env = {
  REDIS_URL: `redis://127.0.0.1:${redis.port}`,
  TASKS: join(ROOT, 'scripts/picture-tasks.mjs'),
  QUEUES: 'mail,reports,models',
  LOG_LEVEL: 'silent',
  CONCURRENCY: '4',
  PORT: String(port),
};
const roles = ['server', 'worker', 'worker', 'worker'].map((role) =>
  start(process.execPath, [join(ROOT, 'dist/cli.js'), role], env),
);
const popfleet = new Popfleet({ url });

/** What the shop sends in the second that begins so many milliseconds after the start. */
async function sendSecond(second) {
  const wave = (1 + Math.sin((second * 2_000 * Math.PI) / WAVE_MS)) / 2;
  const mails = Math.round(MAILS.least + MAILS.more * wave + Math.random() * 2);
  const calls = Array.from({ length: mails }, (_, at) => ({
    type: 'mail.send',
    input: { to: Math.random() < 0.001 ? 'ada@example.invalid' : `customer-${at}@example.org` },
  }));
  if (second % 2 === 0)
    calls.push({ type: 'report.render', input: { customer: 'acme', pages: 8 + (second % 17) } });
  if (second % 45 === 0) calls.push({ type: 'model.train', input: { epochs: 80 } });
  if (second % 30 === 0)
    calls.push({ type: 'mail.send', input: { to: 'later@example.org' }, delayMs: 300_000 });
  for await (const item of popfleet.enqueueMany(calls))
    if ('problem' in item) throw new Error(item.problem.detail);
}

async function photograph() {
  const browser = await startBrowser();
  for (const colorScheme of ['light', 'dark']) {
    const page = await browser.newPage({ colorScheme, viewport: { width: 1_280, height: 920 } });
    await page.goto(`${url}/ui/`);
    await page.getByText('Nothing is lost').waitFor();
    await page.locator('.chart canvas').nth(3).waitFor();
    // The rates of now are those between two readings.
    await sleep(20_000);
    await page.screenshot({ path: join(ROOT, `docs/ui-${colorScheme}.png`) });
    await page.close();
  }
  await browser.close();
}

try {
  await untilReady(url);
  const began = performance.now();
  let isOver = false;
  const sending = (async () => {
    for (let second = 0; !isOver; second += 1) {
      await sendSecond(second);
      await sleep(Math.max(0, began + (second + 1) * 1_000 - performance.now()));
    }
  })();
  await sleep(LASTS_MS);
  await photograph();
  isOver = true;
  await sending;
} finally {
  for (const role of roles) await end(role);
  await redis.stop();
}
