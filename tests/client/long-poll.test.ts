// How long a wait of the client goes on without its server. The clock is one of the test.

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Popfleet } from '../../src/client/popfleet.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

interface Absence {
  /** Milliseconds since the start. */
  readonly from: number;
  readonly to: number;
  /** Why a request fails meanwhile, after so many milliseconds. */
  readonly code?: string;
  readonly afterMs?: number;
}

const ENDS_AT_MS = 200_000;
const END = 'event: end\ndata: {"state":"succeeded"}\n\n';
const EVENTS = { 'content-type': 'text/event-stream' };
const failed = (code: string): TypeError =>
  new TypeError('fetch failed', { cause: Object.assign(new Error(code), { code }) });
const lasts = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A client of a server that is away once, and has a task that succeeds after 200 s; what is sent to it always arrives. */
function clientOf({ from, to, code = 'ECONNREFUSED', afterMs = 0 }: Absence): Popfleet {
  const send: typeof fetch = async (url, init) => {
    if (init?.method === 'POST') return Response.json({ id: 'x', state: 'ready' });
    const now = performance.now();
    if (now >= from && now < to) {
      await lasts(afterMs);
      throw failed(code);
    }
    const answersAt = Math.max(now, Math.min(now + 50_000, ENDS_AT_MS));
    const isCut = now < from && answersAt > from;
    if (typeof url === 'string' && url.endsWith('/events')) return new Response(END, { headers: EVENTS });
    await lasts((isCut ? from : answersAt) - now);
    if (isCut) throw failed('ECONNRESET');
    return Response.json({ state: answersAt >= ENDS_AT_MS ? 'succeeded' : 'running', result: 3 });
  };
  return new Popfleet({ url: 'http://127.0.0.1:3000', fetch: send });
}

/** @returns what came of it, and after how many milliseconds */
async function outcomeOf(waiting: Promise<unknown>): Promise<{ outcome: unknown; afterMs: number }> {
  const ended = waiting
    .catch((error: unknown) => error)
    .then((outcome) => ({ outcome, afterMs: performance.now() }));
  await vi.advanceTimersByTimeAsync(2 * ENDS_AT_MS);
  return ended;
}

test.each([
  ['during its first poll', { from: 1_500, to: 50_000 }],
  ['45 s after the latest answer', { from: 95_000, to: 150_000 }],
])('a wait survives a server that goes away %s, for less than a minute', async (_, absence) => {
  const { outcome } = await outcomeOf(clientOf(absence).wait('x'));
  expect(outcome).toMatchObject({ state: 'succeeded' });
});

test('a run survives a server that is away from its first poll on: it has taken the task', async () => {
  const { outcome } = await outcomeOf(clientOf({ from: 0, to: 50_000 }).run('add', {}));
  expect(outcome).toBe(3);
});

/** The last event of a task. */
async function lastOf(client: Popfleet): Promise<unknown> {
  let last: unknown;
  for await (const { data } of client.events('x')) last = data;
  return last;
}

test.each([
  ['a wait', (client: Popfleet) => client.wait('x')],
  ['a stream of events', lastOf],
])('%s begins although the server is away, when it has just had an answer', async (_, follow) => {
  const client = clientOf({ from: 0, to: 50_000 });
  await client.enqueue('add', {});
  const { outcome, afterMs } = await outcomeOf(follow(client));
  expect(outcome).toMatchObject({ state: 'succeeded' });
  expect(afterMs).toBeGreaterThanOrEqual(50_000);
});

test('a stream of events ends soon where nobody listens, also when the latest answer is long ago', async () => {
  const client = clientOf({ from: 0, to: 1_000_000 });
  const never = await outcomeOf(lastOf(client));
  expect(never.outcome).toMatchObject({ code: 'unreachable' });
  await client.enqueue('add', {});
  await vi.advanceTimersByTimeAsync(61_000);
  const beganAt = performance.now();
  const { outcome, afterMs } = await outcomeOf(lastOf(client));
  expect(outcome).toMatchObject({ code: 'unreachable' });
  expect([never.afterMs < 2_000, afterMs - beganAt < 2_000]).toEqual([true, true]);
});

test('a wait ends when its server is away for longer than a minute', async () => {
  const { outcome, afterMs } = await outcomeOf(clientOf({ from: 95_000, to: ENDS_AT_MS }).wait('x'));
  expect(outcome).toMatchObject({ code: 'unreachable' });
  expect(afterMs).toBeGreaterThanOrEqual(155_000);
  expect(afterMs).toBeLessThan(165_000);
});

test.each([
  ['nobody listens', {}, 2_000],
  ['nobody answers at all', { code: 'UND_ERR_CONNECT_TIMEOUT', afterMs: 10_000 }, 42_000],
])('a wait where %s ends soon', async (_, how, withinMs) => {
  const { outcome, afterMs } = await outcomeOf(clientOf({ from: 0, to: 400_000, ...how }).wait('x'));
  expect(outcome).toMatchObject({ code: 'unreachable' });
  expect(afterMs).toBeLessThan(withinMs);
});
