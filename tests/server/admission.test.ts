// Long polls and event streams: one key cannot take the places of all others.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAdmission } from '../../src/server/admission.ts';
import type { Server } from '../../src/server/server.ts';
import { eventually } from '../support/eventually.ts';
import { call } from '../support/http.ts';
import { makeKey } from '../support/keys.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startServer } from '../support/server.ts';
import { openForTest } from '../support/sse.ts';

const [greedy, modest] = [makeKey(['read']), makeKey(['read'])];
let redis: TestRedis;
let server: Server;

beforeAll(async () => {
  redis = await startRedis();
  const apiKeys = [greedy.apiKey, modest.apiKey];
  server = await startServer(redis.url, undefined, { apiKeys, maxEventStreams: 4 });
  await eventually(async () => (await call(`${server.url()}/readyz`)).status === 200);
});

afterAll(async () => {
  await server?.stop();
  await redis?.stop();
});

test('a key with its half of the event streams is told so, another gets in, and what is closed is free again', async () => {
  const url = `${server.url()}/v1/events`;
  const open = (headers: Record<string, string>) => openForTest(url, { headers });
  const first = await open(greedy.bearer);
  expect((await open(greedy.bearer)).response.statusCode).toBe(200);
  const refused = await call(url, { headers: greedy.bearer });
  expect([refused.status, refused.body['code']]).toEqual([429, 'quota-exceeded']);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  expect((await open(modest.bearer)).response.statusCode).toBe(200);
  first.cut();
  await eventually(async () => (await open(greedy.bearer)).response.statusCode === 200);
});

test('places are counted key by key and in all', () => {
  const admission = createAdmission(5, 'seats');
  const leaves = [1, 2, 3].map(() => admission.enter('a'));
  expect(() => admission.enter('a')).toThrow(expect.objectContaining({ code: 'quota-exceeded' }));
  leaves.push(admission.enter('b'), admission.enter(undefined));
  expect(() => admission.enter('c')).toThrow(expect.objectContaining({ code: 'overloaded' }));
  expect(() => admission.enter(undefined)).toThrow(expect.objectContaining({ code: 'overloaded' }));
  expect(admission.count()).toBe(5);
  for (const leave of leaves) leave();
  expect(admission.count()).toBe(0);
  expect(() => [1, 2, 3].map(() => admission.enter('a'))).not.toThrow();
});

test('without keys only the total is bounded', () => {
  const admission = createAdmission(3, 'seats');
  expect(() => [1, 2, 3].map(() => admission.enter(undefined))).not.toThrow();
});
