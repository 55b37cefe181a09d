// What a worker costs that has nothing to do: with default settings, as Redis counts it.

import { setTimeout as pause } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { buildScripts } from '../../src/store/scripts.ts';
import { eventually } from '../support/eventually.ts';
import { expectBelow } from '../support/expect-below.ts';
import { openStage } from '../support/stage.ts';

const WATCHED_MS = 11_000;
const MOST_PER_SECOND = 1.5;
const BLOCK_MS = 5_000;
const HEARTBEAT_MS = 2_500;
/** A timer that fired late makes the next gap shorter; twice the pace would still be seen. */
const JITTER_MS = 1_000;

/** What this test sends itself while it watches; a monitor opens a connection of its own. */
const WATCHING = ['info', 'monitor', 'hello', 'ping', 'pubsub|channels'];

interface Sent {
  readonly atMs: number;
  readonly command: string;
  /** With its first argument, which tells scripts apart. */
  readonly call: string;
}

test('an idle worker sends at most 1.5 commands a second, each at the pace of the block time or the heartbeat', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  await stage.role('worker', { REDIS_URL: redis.url });
  // Its hello (first beats and sweeps) is no idling, and ends once it listens for wakes and for hands.
  await eventually(async () => (await redis.client.pubsub('CHANNELS')).length === 2);
  await pause(1_000);

  await expectBelow(1, async () => {
    const before = await clientCalls(redis.client);
    const { sent, stop } = await watch(redis.client);
    await pause(WATCHED_MS);
    stop();
    const after = await clientCalls(redis.client);

    const calls = new Map([...after].map(([name, all]) => [name, all - (before.get(name) ?? 0)]));
    // It is there: it waits in BRPOP, and it beats.
    expect(calls.get('brpop')).toBeGreaterThan(0);
    expect(calls.get('evalsha')).toBeGreaterThan(0);
    expect(new Set(sent.map(({ command }) => command))).toEqual(new Set(['brpop', 'evalsha']));
    const total = [...calls.values()].reduce((sum, one) => sum + one, 0);
    // Of each call: by how much it came before its time.
    const earlyMs = [...shortestGaps(sent)].map(
      ([call, gap]) => (call.startsWith('brpop') ? BLOCK_MS : HEARTBEAT_MS) - gap,
    );
    const most = (WATCHED_MS / 1_000) * MOST_PER_SECOND;
    return [total / most, ...earlyMs.map((ms) => ms / JITTER_MS)];
  });
});

/**
 * Calls by command since the start of Redis. commandstats counts what scripts call in with what clients send, and
 * cannot tell them apart: so only commands count that no script calls. `watch` shows that the worker sends no others.
 */
async function clientCalls(client: Redis): Promise<Map<string, number>> {
  const sources = Object.values(buildScripts()).map(({ lua }) => lua);
  const inScripts = sources.join('\n').matchAll(/(?:redis\.call|call_sliced)\('(\w+)'/g);
  const left = new Set([...Array.from(inScripts, ([, name = '']) => name.toLowerCase()), ...WATCHING]);
  const stats = (await client.info('commandstats')).matchAll(/cmdstat_(\S+?):calls=(\d+)/g);
  return new Map(
    [...stats]
      .map(([, name = '', calls]) => [name, Number(calls)] as const)
      .filter(([name]) => !left.has(name)),
  );
}

/** Every command that a client sends; what scripts call is left out. */
async function watch(client: Redis): Promise<{ sent: readonly Sent[]; stop: () => void }> {
  const sent: Sent[] = [];
  const monitor = await client.monitor();
  monitor.on('monitor', (time: string, [name = '', first = '']: string[], source: string) => {
    const command = name.toLowerCase();
    if (source === 'lua' || WATCHING.includes(command)) return;
    sent.push({ atMs: Number(time) * 1_000, command, call: `${command} ${first}` });
  });
  return { sent, stop: () => monitor.disconnect() };
}

/** Of each call that was made more than once. */
function shortestGaps(sent: readonly Sent[]): Map<string, number> {
  const last = new Map<string, number>();
  const gaps = new Map<string, number>();
  for (const { atMs, call } of sent) {
    const before = last.get(call);
    if (before !== undefined) gaps.set(call, Math.min(atMs - before, gaps.get(call) ?? Infinity));
    last.set(call, atMs);
  }
  return gaps;
}
