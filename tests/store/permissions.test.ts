// The probe tries every command that popfleet sends, and leaves nothing behind.

import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PROBE_PLACE } from '../../src/store/keys.ts';
import { buildScripts, runScript } from '../../src/store/scripts.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { openStore } from '../support/store.ts';

const STORE = new URL('../../src/store/', import.meta.url);
/**
 * Methods of a client that send no command, or one that no script may send: the program finds out by itself. And one that is sent only
 * to the Redis of somebody's tests.
 */
const NOT_TRIED = new Set(
  'connect disconnect on once off emit sendCommand setMaxListeners brpop subscribe client info pipeline eval flushall cluster asking call primaries nodeOf nodeNamed nodeWith anyAddress learn isWhole getSlot resolve reject'.split(
    ' ',
  ),
);

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(async () => {
  await redis?.stop();
});

function commandsOfScripts(): string[] {
  const sources = Object.entries(buildScripts()).flatMap(([name, { lua }]) =>
    name === 'probe' ? [] : [lua],
  );
  const calls = sources.join('\n').matchAll(/(?:redis\.p?call|call_sliced)\('(\w+)'/g);
  return Array.from(calls, ([, name = '']) => name.toLowerCase());
}

function commandsOfClients(): string[] {
  const files = readdirSync(STORE).filter((file) => file.endsWith('.ts'));
  const text = files.map((file) => readFileSync(new URL(file, STORE), 'utf8')).join('\n');
  const methods = Array.from(text.matchAll(/\b(?:client|command)\s*\.(\w+)\(/g), ([, name = '']) => name);
  // Those of a pipeline.
  methods.push(
    ...Array.from(text.matchAll(/\[\s*'(\w+)',\s*(?:keyOf|ledgerKey)\(/g), ([, name = '']) => name),
  );
  return methods.map((name) => name.replace(/Buffer$/, '')).filter((name) => !NOT_TRIED.has(name));
}

test('case 12: the probe tries every command of the scripts and of the store', () => {
  const probe = readFileSync(new URL('lua/probe.lua', STORE), 'utf8');
  const tried = new Set(Array.from(probe.matchAll(/\{ '(\w+)'/g), ([, name = '']) => name.toLowerCase()));
  const missing = [...commandsOfScripts(), ...commandsOfClients()].filter((name) => !tried.has(name));
  expect([...new Set(missing)]).toEqual([]);
  expect(commandsOfClients()).toEqual(expect.arrayContaining(['smembers', 'lindex']));
});

test('case 12: a probe leaves nothing behind, and no call of it fails', async () => {
  const client = await openStore(redis.url);
  await redis.client.config('RESETSTAT');
  for (const what of ['write', 'all']) {
    expect(await runScript(client, 'probe', PROBE_PLACE, [what])).toEqual([]);
    expect(await redis.client.dbsize()).toBe(0);
  }
  const stats = await redis.client.info('stats');
  expect(/total_error_replies:(\d+)/.exec(stats)?.[1]).toBe('0');
  client.disconnect();
});
