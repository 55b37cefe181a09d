// Tasks that were taken ahead: which of them may begin, and what Redis hears of it before.

import { beforeEach, expect, test } from 'vitest';
import { Ahead } from '../../src/worker/ahead.ts';
import { HeldTask } from '../../src/worker/slots.ts';
import { eventually } from '../support/eventually.ts';

let begun: string[];
let overdue: string[];
let ahead: Ahead;

function makeAhead(waitLimitMs: number): void {
  ahead = new Ahead(
    ({ task }) => begun.push(task.id),
    ({ task }) => overdue.push(task.id),
    waitLimitMs,
  );
}

beforeEach(() => {
  begun = [];
  overdue = [];
  makeAhead(600_000);
});

/** A task that was claimed at this time of Redis. */
function claimed(id: string, ms: number): HeldTask {
  const token = `running 1 0 0 normal 0 ${ms} me`;
  return new HeldTask({
    queue: 'mail',
    id,
    claim: 1,
    token,
    failures: 0,
    crashes: 0,
    content: Buffer.alloc(0),
  });
}

test('a worker that takes nothing ahead says nothing', () => {
  ahead.begins(claimed('a', 1_000).task.token);
  const telling = ahead.tell(false);
  expect(telling.word).toBe('');
  ahead.told(telling);
  expect([ahead.size, ahead.hasTold, begun]).toEqual([0, false, []]);
});

test('what is taken ahead begins once a call that names it was answered', () => {
  ahead.begins(claimed('a', 1_000).task.token);
  const first = ahead.tell(true);
  expect(first.word).toBe(1_000);
  ahead.told(first);
  ahead.add(claimed('b', 2_000));
  const second = ahead.tell(true);
  expect([second.word, begun, ahead.size]).toEqual([2_000, [], 1]);
  // It came with a call that was sent before.
  ahead.add(claimed('c', 3_000));
  ahead.told(second);
  expect([begun, ahead.size]).toEqual([['b'], 1]);
});

test('a call that was not answered has named nothing, and what it says is said again', () => {
  ahead.tell(true);
  ahead.add(claimed('b', 2_000));
  ahead.tell(true);
  ahead.tell(false);
  expect([begun, ahead.hasTold]).toEqual([[], true]);
  ahead.told(ahead.tell(true));
  expect(begun).toEqual(['b']);
});

test('a call that names everything lets begin also what it brings', () => {
  ahead.told(ahead.tell(true));
  ahead.add(claimed('b', 2_000));
  const telling = ahead.tell(false);
  expect(telling).toMatchObject({ word: 'all', bringsAhead: false });
  expect(begun).toEqual([]);
  ahead.told(telling);
  expect([begun, ahead.hasTold]).toEqual([['b'], false]);
  expect(ahead.tell(false).word).toBe('');
});

test('the time that is told never goes back', () => {
  ahead.begins(claimed('late', 5_000).task.token);
  ahead.add(claimed('early', 2_000));
  expect(ahead.tell(true).word).toBe(5_000);
});

test('what waits for too long is handed back, and does not begin any more', async () => {
  makeAhead(5);
  ahead.add(claimed('a', 1_000));
  await eventually(() => overdue.length === 1);
  ahead.told(ahead.tell(false));
  expect([begun, overdue, ahead.size]).toEqual([[], ['a'], 0]);
});

test('what shall stop goes on at once, to be ended', () => {
  const held = claimed('a', 1_000);
  ahead.add(held);
  held.stop('cancelled');
  ahead.told(ahead.tell(false));
  expect([begun, ahead.size]).toEqual([['a'], 0]);
});
