// node scripts/bench/dashboard.mjs [--minutes 10] [--rate 2000] [--rounds 10] [--slice-seconds 5] [--dashboards 10]: what an open
// dashboard costs. First the browser: heap and CPU of a page that shows the overview while so many tasks a second run. Then the
// fleet: how many tasks it runs a second, with and without so many dashboards open, in turns. Build first; needs chromium.
//
// The dashboards of the second part are what the page of the first has asked for, asked again as often and at the same times:
// ten browsers on the machine that is measured would take its cores from the fleet.

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { startBrowser } from './browser.mjs';
import { inline } from './fixtures/tasks.mjs';
import { machine } from './machine.mjs';
import { end, freePort, HERE, ROOT, start, temporaryFolder, untilReady } from './processes.mjs';
import { startRedis } from './redis.mjs';
import { meanOf, median } from './stats.mjs';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    rate: { type: 'string', default: '2000' },
    rounds: { type: 'string', default: '10' },
    'slice-seconds': { type: 'string', default: '5' },
    dashboards: { type: 'string', default: '10' },
  },
});
const MINUTES = Number(values.minutes);
const RATE = Number(values.rate);
const ROUNDS = Number(values.rounds);
const SLICE_MS = Number(values['slice-seconds']) * 1_000;
const DASHBOARDS = Number(values.dashboards);
/** Within it a page asks for everything that it asks for again and again. */
const CYCLE_MS = 8_000;
const A_CALL = 100;
/** So many tasks wait while it is measured how many run: workers are never idle. */
const BACKLOG = 5_000;
const MB = 1_048_576;
/** What docs say at most. */
const MOST = { heapMb: 60, cpuPercent: 5, lossPercent: 3 };

const redis = await startRedis({ aof: false });
const observer = new Redis(redis.port, '127.0.0.1');
const port = await freePort();
const url = `http://127.0.0.1:${port}`;
const env = {
  REDIS_URL: `redis://127.0.0.1:${redis.port}`,
  TASKS: join(HERE, 'fixtures', 'tasks.mjs'),
  LOG_LEVEL: 'silent',
  BENCH_STARTS: join(temporaryFolder(), 'starts'),
  PORT: String(port),
};
const children = [];

async function send(count) {
  const task = { type: inline.type, input: { one: 1, two: 2 } };
  const response = await fetch(`${url}/v1/tasks/batch`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(Array.from({ length: count }, () => task)),
  });
  await response.arrayBuffer();
  if (!response.ok) throw new Error(`tasks were not accepted: ${response.status}`);
}

/** Tasks of a state, and those that have ended: the finished are removed after a while. */
async function counts() {
  const [accepted, ready, running, scheduled] = (
    await observer.hmget('pf:{default}:count', 'accepted', 'ready', 'running', 'scheduled')
  ).map((count) => Number(count ?? 0));
  return { ready, finished: accepted - ready - running - scheduled };
}

/** Sends so many tasks a second until it is ended, never more than the fleet has run by then. */
function flow(rate) {
  let goesOn = true;
  const done = (async () => {
    const begun = performance.now();
    for (let sent = 0; goesOn; sent += A_CALL) {
      const dueMs = (sent / rate) * 1_000 - (performance.now() - begun);
      if (dueMs > 0) await sleep(dueMs);
      await send(A_CALL);
    }
  })();
  return async () => {
    goesOn = false;
    await done;
  };
}

/** Keeps a backlog until it is ended. */
function flood() {
  let goesOn = true;
  const done = (async () => {
    while (goesOn) {
      if ((await counts()).ready < BACKLOG) await send(500);
      else await sleep(20);
    }
  })();
  return async () => {
    goesOn = false;
    await done;
  };
}

/** Heap in use and processor time so far, in bytes and ms. */
async function usageOf(page, browser) {
  const session = await page.context().newCDPSession(page);
  await session.send('HeapProfiler.collectGarbage');
  const { usedSize } = await session.send('Runtime.getHeapUsage');
  await session.detach();
  const whole = await browser.newBrowserCDPSession();
  const { processInfo } = await whole.send('SystemInfo.getProcessInfo');
  await whole.detach();
  const cpuMs = processInfo
    .filter(({ type }) => type === 'renderer')
    .reduce((sum, { cpuTime }) => sum + cpuTime * 1_000, 0);
  return { heapBytes: usedSize, cpuMs, at: performance.now() };
}

/** The page for so long. @returns its usage, and what it asks for in a cycle, with the times */
async function measurePage() {
  const browser = await startBrowser();
  try {
    const page = await browser.newPage({ viewport: { width: 1_280, height: 900 } });
    await page.goto(`${url}/ui/`);
    await page.locator('.chart canvas').nth(3).waitFor();
    const before = await usageOf(page, browser);
    const finished = (await counts()).finished;
    const asked = [];
    const begun = performance.now();
    page.on('request', (request) => asked.push({ atMs: performance.now() - begun, url: request.url() }));
    await sleep(Math.max(CYCLE_MS, MINUTES * 60_000));
    const after = await usageOf(page, browser);
    const seconds = (after.at - before.at) / 1_000;
    return {
      tasksPerSecond: ((await counts()).finished - finished) / seconds,
      heapMb: after.heapBytes / MB,
      cpuPercent: (after.cpuMs - before.cpuMs) / seconds / 10,
      cycle: asked.filter(({ atMs }) => atMs < CYCLE_MS),
      requestsPerSecond: asked.length / seconds,
    };
  } finally {
    await browser.close();
  }
}

/** Asks for what a page asks for, over and over, until it is ended. */
function openDashboard(cycle, shiftMs) {
  let goesOn = true;
  const done = (async () => {
    for (let round = 0; goesOn; round += 1) {
      const begun = performance.now();
      for (const { atMs, url: asked } of cycle) {
        const dueMs = atMs + (round === 0 ? shiftMs : 0) - (performance.now() - begun);
        if (dueMs > 0) await sleep(dueMs);
        if (!goesOn) return;
        await (await fetch(asked)).arrayBuffer();
      }
      await sleep(Math.max(0, CYCLE_MS - (performance.now() - begun)));
    }
  })();
  return async () => {
    goesOn = false;
    await done;
  };
}

async function rateOf(ms) {
  const begun = performance.now();
  const { finished } = await counts();
  await sleep(ms);
  return (((await counts()).finished - finished) * 1_000) / (performance.now() - begun);
}

/** Slices of time with and without dashboards, in turns, so that both meet the same machine. */
async function measureFleet(cycle) {
  const endFlood = flood();
  await sleep(SLICE_MS);
  const rates = { without: [], with: [] };
  for (let round = 0; round < ROUNDS; round += 1) {
    const order = round % 2 === 0 ? ['without', 'with'] : ['with', 'without'];
    for (const kind of order) {
      const open = kind === 'with' ? DASHBOARDS : 0;
      const ends = Array.from({ length: open }, (_, at) => openDashboard(cycle, (at * CYCLE_MS) / 4 / open));
      await sleep(500);
      rates[kind].push(await rateOf(SLICE_MS));
      await Promise.all(ends.map((close) => close()));
    }
  }
  await endFlood();
  return rates;
}

try {
  children.push(start(process.execPath, [`${ROOT}/dist/cli.js`, 'server'], env));
  children.push(start(process.execPath, [`${ROOT}/dist/cli.js`, 'worker'], { ...env, CONCURRENCY: '2' }));
  await untilReady(url);
  await send(A_CALL);
  const endFlow = flow(RATE);
  const page = await measurePage();
  await endFlow();
  const rates = await measureFleet(page.cycle);
  const ratio = meanOf(rates.with.map((rate, at) => rate / rates.without[at]));
  const lossPercent = (1 - ratio.mean) * 100;
  const { cpu, cores, node } = machine();
  console.log(`${cpu}, ${cores} cores, Node.js ${node}`);
  console.log(
    `one page for ${MINUTES} min at ${page.tasksPerSecond.toFixed(0)} tasks a second: ${page.heapMb.toFixed(1)} MB of heap (at most ${MOST.heapMb}), ` +
      `${page.cpuPercent.toFixed(2)} % of a core (at most ${MOST.cpuPercent}), ${page.requestsPerSecond.toFixed(2)} requests a second`,
  );
  const spread =
    ratio.from === undefined
      ? ''
      : `, 95 % within ${((1 - ratio.to) * 100).toFixed(1)} and ${((1 - ratio.from) * 100).toFixed(1)} %`;
  console.log(
    `${DASHBOARDS} dashboards: ${median(rates.with).toFixed(0)} tasks a second, without ${median(rates.without).toFixed(0)}: ` +
      `${lossPercent.toFixed(1)} % less (at most ${MOST.lossPercent})${spread}, ${ROUNDS} rounds of ${SLICE_MS / 1_000} s each`,
  );
} finally {
  for (const child of children) await end(child, 'SIGTERM');
  observer.disconnect();
  await redis.stop();
}
