// Which failing calls are logged, and when a worker asks to be replaced.

import { setTimeout as pause } from 'node:timers/promises';
import { ReplyError } from 'ioredis';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { createCallWatch } from '../../src/worker/call-watch.ts';

const STUCK_MS = 50;
const log = pino({ level: 'silent' });

function reply(message: string): Error {
  return new (ReplyError as new (text: string) => Error)(message);
}

test('case 3: a call that fails again and again for long asks for another worker, once, whichever call it is', async () => {
  for (const call of ['fetch', 'claim of default', 'outcomes of default', 'heartbeat of default']) {
    let stuck = 0;
    const watch = createCallWatch(STUCK_MS, log, () => {
      stuck += 1;
    });
    watch.failed(call, reply('READONLY'));
    watch.failed(call, reply('READONLY'));
    watch.failed(call, reply('READONLY'));
    expect(stuck).toBe(0);
    await pause(2 * STUCK_MS);
    // Other calls that work prove nothing for this one.
    watch.worked('something else');
    watch.failed(call, reply('READONLY'));
    watch.failed(call, reply('READONLY'));
    expect(stuck).toBe(1);
  }
});

test('a call that has worked meanwhile, or has failed twice only, is not stuck', async () => {
  let stuck = 0;
  const watch = createCallWatch(STUCK_MS, log, () => {
    stuck += 1;
  });
  watch.failed('fetch', reply('READONLY'));
  watch.failed('claim of rare', reply('READONLY'));
  await pause(2 * STUCK_MS);
  watch.worked('fetch');
  for (let times = 0; times < 5; times += 1) watch.failed('fetch', reply('READONLY'));
  watch.failed('claim of rare', reply('READONLY'));
  expect(stuck).toBe(0);
});

test('case 8: each cause is new once, until it changes or the call has worked', () => {
  const watch = createCallWatch(STUCK_MS, log, () => undefined);
  const faults = ['READONLY a', 'READONLY b', "NOPERM no 'hset' command", 'LOADING', 'LOADING'];
  expect(faults.map((text) => watch.failed('fetch', reply(text)))).toEqual([true, false, true, true, false]);
  watch.worked('fetch');
  expect(watch.failed('fetch', reply('LOADING'))).toBe(true);
  expect(watch.failed('fetch', new TypeError('a fault of ours'))).toBe(true);
});
