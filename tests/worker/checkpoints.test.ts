// Checkpoints alone: they are kept once for the run that counts, however often Redis has to be asked.

import { ReplyError } from 'ioredis';
import { expect, test } from 'vitest';
import type { ClaimedTask } from '../../src/store/consumer.ts';
import { createCheckpoints } from '../../src/worker/checkpoints.ts';
import { createSlots } from '../../src/worker/slots.ts';
import { silentLog } from '../support/store.ts';

const ID = '01890000-0000-7000-8000-000000000001';
const VALUE = Buffer.from([1]);
const STALE = { refused: { name: 'AbortError' } };

/** @param answers of Redis, one after the other; an error is a call that fails */
function stage(answers: readonly (boolean | Error)[], isStopping = false) {
  const slots = createSlots(() => 1);
  const task: ClaimedTask = {
    queue: 'mail',
    id: ID,
    claim: 2,
    token: 'the token',
    failures: 0,
    crashes: 0,
    content: Buffer.from([]),
  };
  const held = slots.hold(task);
  if (!held) throw new Error('not held');
  const calls: { readonly token: string; readonly value: Uint8Array }[] = [];
  const next = (): boolean => {
    const answer = answers[calls.length - 1] ?? new Error('away');
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const consumer = {
    async checkpoint({ token }: Pick<ClaimedTask, 'id' | 'token'>, value: Uint8Array): Promise<boolean> {
      calls.push({ token, value });
      return next();
    },
    readNeeds: async () => [],
    async readCheckpoint(): Promise<Buffer | undefined> {
      calls.push({ token: '', value: VALUE });
      return next() ? VALUE : undefined;
    },
  };
  const leases = [{ queue: 'mail', consumer }];
  const stopping = isStopping ? AbortSignal.abort() : new AbortController().signal;
  const checkpoints = createCheckpoints({ leases, slots, stopping, log: silentLog });
  return { checkpoints, held, calls, run: { queue: 'mail', id: ID, claim: 2 } };
}

test('it is kept with the token of the run, again until Redis has answered', async () => {
  const { checkpoints, held, calls, run } = stage([new Error('away'), new Error('away'), true]);
  expect(await checkpoints.keep(run, VALUE)).toEqual({});
  expect(calls).toEqual([1, 2, 3].map(() => ({ token: 'the token', value: VALUE })));
  // What the task takes beside its row counts against the retention by size.
  expect(held.hasReported).toBe(true);
  expect(held.reason).toBeUndefined();
});

test('a run that does not count any more is refused, at the latest by Redis', async () => {
  const { checkpoints, calls, run } = stage([false]);
  expect(await checkpoints.keep({ ...run, claim: 1 }, VALUE)).toMatchObject(STALE);
  expect(await checkpoints.keep({ ...run, queue: 'other' }, VALUE)).toMatchObject(STALE);
  expect(calls).toEqual([]);
  expect(await checkpoints.keep(run, VALUE)).toMatchObject(STALE);
  expect(calls.length).toBe(1);
});

test('while Redis is away, a run whose lease is lost gives up; so does one whose queue another release keeps', async () => {
  const away = stage([]);
  const kept = away.checkpoints.keep(away.run, VALUE);
  away.held.stop('lease-lost');
  expect(await kept).toMatchObject(STALE);
  const upgrade = new ReplyError('UPGRADE the queue is kept by a newer release');
  const refused = stage([upgrade, upgrade]);
  expect(await refused.checkpoints.keep(refused.run, VALUE)).toMatchObject(STALE);
  expect(await refused.checkpoints.read(refused.held)).toBeUndefined();
});

test('while the worker stops, the run is asked to stop once its checkpoint is kept', async () => {
  const { checkpoints, held, run } = stage([true], true);
  await checkpoints.keep(run, VALUE);
  expect(held.reason).toBe('shutting-down');
});

test('what was kept is read, again until Redis has answered', async () => {
  const { checkpoints, held, calls } = stage([new Error('away'), true]);
  expect(await checkpoints.read(held)).toEqual(VALUE);
  expect(calls.length).toBe(2);
});
