// Outcomes on their way to Redis: few calls carry many, and none is lost while Redis is away.

import { beforeEach, expect, test } from 'vitest';
import type { Outcome } from '../../src/store/consumer.ts';
import { createCallWatch } from '../../src/worker/call-watch.ts';
import { type Completer, createCompleter } from '../../src/worker/completer.ts';
import { createSlots } from '../../src/worker/slots.ts';
import { silentLog } from '../support/store.ts';

const PLACES = 2;
let calls: string[][];
/** What the next calls fail with. */
let faults: Error[];
/** Ends the call that is under way, when `isHeld`. */
let reply: () => void;
let isHeld: boolean;
let completer: Completer;

function outcome(id: string): Outcome {
  const payload = Buffer.alloc(0);
  return { id, token: `token of ${id}`, word: 'succeeded', contentBytes: 0, payload, delayMs: 0 };
}

function hold(...ids: string[]): void {
  const slots = createSlots(() => ids.length);
  for (const id of ids) {
    const content = Buffer.alloc(0);
    slots.hold({ queue: 'mail', id, claim: 1, token: `token of ${id}`, failures: 0, crashes: 0, content });
  }
  const send = async (batch: readonly Outcome[]): Promise<void> => {
    calls.push(batch.map(({ id }) => id));
    if (isHeld) {
      await new Promise<void>((resolve) => {
        reply = resolve;
      });
    }
    const fault = faults.shift();
    if (fault) throw fault;
    for (const { id, token } of batch) slots.drop('mail', id, token);
  };
  const watch = createCallWatch(300_000, silentLog, () => undefined);
  completer = createCompleter({
    send,
    slots,
    ahead: () => 0,
    places: PLACES,
    queue: 'mail',
    watch,
    log: silentLog,
  });
}

beforeEach(() => {
  calls = [];
  faults = [];
  isHeld = false;
  reply = () => undefined;
});

test('outcomes of one turn of the event loop share one call', async () => {
  hold('a', 'b', 'c', 'd', 'e', 'f');
  for (const id of ['a', 'b']) completer.push(outcome(id));
  await completer.settled();
  expect(calls).toEqual([['a', 'b']]);
});

test('half of the tasks that may be held are enough for a call, and those that end meanwhile share the next', async () => {
  hold('a', 'b', 'c', 'd', 'e', 'f');
  isHeld = true;
  for (const id of ['a', 'b', 'c', 'd', 'e']) completer.push(outcome(id));
  expect(calls).toEqual([['a', 'b', 'c']]);
  isHeld = false;
  reply();
  await completer.settled();
  expect(calls).toEqual([
    ['a', 'b', 'c'],
    ['d', 'e'],
  ]);
});

test('outcomes stay until Redis has answered, and go with those that came since', async () => {
  hold('a', 'b');
  faults = [new Error('Connection is closed.'), new Error('Connection is closed.')];
  completer.push(outcome('a'));
  completer.push(outcome('b'));
  await completer.settled();
  expect(calls[0]).toEqual(['a']);
  expect(calls.slice(1)).toEqual([
    ['a', 'b'],
    ['a', 'b'],
  ]);
});

test('without outcomes there is nothing to wait for', async () => {
  hold('a');
  await completer.settled();
  expect(calls).toEqual([]);
});
