// Which options hold for a run, and what travels in a message. The wrong values are in tests/server/options.test.ts.

import * as v from 'valibot';
import { expect, test } from 'vitest';
import {
  CallSchema,
  DefaultsSchema,
  resolveRunOptions,
  type TaskDefaults,
  toMessageOptions,
} from '../../src/protocol/options.ts';

const BACKOFF = { type: 'exponential', baseMs: 1_000, factor: 2, capMs: 300_000, jitter: 'full' };

function call(options: object): Record<string, unknown> {
  return v.parse(CallSchema, { type: 'add', input: null, ...options });
}

test('nothing said anywhere: three attempts, exponential with jitter, no time limit', () => {
  expect(resolveRunOptions({}, {})).toEqual({
    maxAttempts: 3,
    backoff: BACKOFF,
    timeoutMs: undefined,
    resultTtlMs: undefined,
  });
});

test.each<[keyof ReturnType<typeof resolveRunOptions>, unknown, unknown]>([
  ['maxAttempts', 1, 7],
  ['timeoutMs', 100, 5_000],
  ['resultTtlMs', 0, 60_000],
  ['backoff', { ...BACKOFF, baseMs: 5 }, { ...BACKOFF, type: 'fixed' }],
])('%s: the message overrides the definition, the definition the default', (name, own, ofType) => {
  const defaults = { [name]: ofType } as TaskDefaults;
  expect(resolveRunOptions({}, defaults)[name]).toEqual(ofType);
  expect(resolveRunOptions({ [name]: own }, defaults)[name]).toEqual(own);
  expect(resolveRunOptions({ [name]: own }, {})[name]).toEqual(own);
});

test('half a backoff is completed by the defaults, wherever it was said', () => {
  const fixed = { ...BACKOFF, type: 'fixed', baseMs: 50 };
  expect(resolveRunOptions({ backoff: { type: 'fixed', baseMs: 50 } }, {}).backoff).toEqual(fixed);
  expect(resolveRunOptions({}, { backoff: { type: 'fixed', baseMs: 50 } }).backoff).toEqual(fixed);
  // A backoff is one choice: the call's does not mix with the definition's.
  expect(resolveRunOptions({ backoff: { jitter: 'none' } }, { backoff: { baseMs: 5 } }).backoff).toEqual({
    ...BACKOFF,
    jitter: 'none',
  });
});

test('a message of a later release may say more; one that says nonsense is refused', () => {
  expect(resolveRunOptions({ maxAttempts: 2, colour: 'red', traceparent: 5 }, {}).maxAttempts).toBe(2);
  for (const options of [
    { maxAttempts: 0 },
    { timeoutMs: 'soon' },
    { backoff: { baseMs: -1 } },
    { backoff: [] },
  ]) {
    expect(() => resolveRunOptions(options, {}), JSON.stringify(options)).toThrow(v.ValiError);
  }
});

test('only what the worker acts on travels in the message, and only what the call has said', () => {
  const options = call({
    queue: 'mail',
    priority: 'low',
    delayMs: 5,
    ttlMs: 10,
    key: 'k',
    keyWindowMs: 1,
    maxAttempts: 2,
    timeoutMs: 7,
    resultTtlMs: 0,
  });
  expect(toMessageOptions(options)).toEqual({ maxAttempts: 2, timeoutMs: 7, resultTtlMs: 0 });
  expect(toMessageOptions(call({}))).toBeUndefined();
});

test('the limits of every option are within it', () => {
  const day = 86_400_000;
  const numbers: Record<string, [number, number]> = {
    maxAttempts: [1, 1_000],
    timeoutMs: [1, 24 * day],
    resultTtlMs: [0, 365 * day],
    delayMs: [0, 365 * day],
    ttlMs: [1, 365 * day],
    keyWindowMs: [1, 365 * day],
    runAt: [0, Date.parse('9999-12-31T23:59:59.999Z')],
    expiresAt: [0, Date.parse('9999-12-31T23:59:59.999Z')],
  };
  for (const [name, [least, most]] of Object.entries(numbers)) {
    expect(call({ [name]: least })[name]).toBe(least);
    expect(call({ [name]: most })[name]).toBe(most);
    for (const wrong of [least - 1, most + 1, least + 0.5]) {
      const { issues = [] } = v.safeParse(CallSchema, { type: 'add', input: null, [name]: wrong });
      // Told once, not once for each rule that it breaks.
      expect(
        issues.map((issue) => v.getDotPath(issue)),
        `${name}: ${wrong}`,
      ).toEqual([name]);
    }
  }
  const backoff = { type: 'fixed', baseMs: 30 * day, factor: 100, capMs: 30 * day, jitter: 'none' };
  expect(call({ backoff })['backoff']).toEqual(backoff);
  expect(call({ key: `!${'~'.repeat(254)}` })['key']).toHaveLength(255);
});

test.each([
  ['2026-11-23T10:00:00Z', '2026-11-23T10:00:00.000Z'],
  ['2026-11-23T10:00:00.5Z', '2026-11-23T10:00:00.500Z'],
  ['2026-11-23T10:00:00.123456789Z', '2026-11-23T10:00:00.123Z'],
  ['2026-11-23T10:00:00+01:30', '2026-11-23T08:30:00.000Z'],
  ['2026-11-23T23:59:59-08:00', '2026-11-24T07:59:59.000Z'],
  ['2026-11-23t10:00:00z', '2026-11-23T10:00:00.000Z'],
  ['2026-11-23 10:00:00Z', '2026-11-23T10:00:00.000Z'],
  ['2028-02-29T00:00:00Z', '2028-02-29T00:00:00.000Z'],
])('the time %s is read as RFC 3339 says', (text, utc) => {
  for (const name of ['runAt', 'expiresAt']) {
    expect(new Date(Number(call({ [name]: text })[name])).toISOString()).toBe(utc);
  }
});

test('milliseconds and text that mean the same are the same', () => {
  expect(call({ runAt: '2026-11-23T10:00:00Z' })).toEqual(
    call({ runAt: Date.parse('2026-11-23T10:00:00Z') }),
  );
});

test('defaults of a definition are the options of a call, without those that only one call can have', () => {
  const all = {
    maxAttempts: 1,
    backoff: {},
    timeoutMs: 1,
    resultTtlMs: 1,
    queue: 'q',
    priority: 'low',
    keyWindowMs: 1,
    durability: 'disk',
    ttlMs: 1,
  };
  expect(v.is(DefaultsSchema, all)).toBe(true);
  for (const name of ['delayMs', 'runAt', 'expiresAt', 'key']) {
    expect(v.is(DefaultsSchema, { [name]: 5 }), name).toBe(false);
  }
});
