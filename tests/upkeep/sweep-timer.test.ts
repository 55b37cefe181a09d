// What the timer of a queue says of sweeps that fail.

import { ReplyError } from 'ioredis';
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { createSweepTimer } from '../../src/upkeep/sweep-timer.ts';
import { eventually } from '../support/eventually.ts';

test.each([
  ['once, when Redis refuses it', new ReplyError('WRONGTYPE Operation against a key'), 1],
  ['once, when its answer cannot be read', new SyntaxError('no JSON'), 1],
  ['not, when Redis is away', new Error('Connection is closed.'), 0],
  ['not, when another release keeps the queue', new ReplyError('UPGRADE this one'), 0],
])('a sweep that fails is logged %s, and tried again', async (_, fault, times) => {
  const lines: string[] = [];
  const log = pino({ level: 'warn' }, { write: (line) => void lines.push(line) });
  let sweeps = 0;
  const timer = createSweepTimer(
    async () => {
      sweeps += 1;
      throw fault;
    },
    5,
    log,
  );
  onTestFinished(() => timer.stop());
  timer.within(0);
  await eventually(() => sweeps > 3);
  expect(lines.filter((line) => line.includes('cannot be swept'))).toHaveLength(times);
});
