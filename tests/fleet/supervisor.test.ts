// What a supervisor starts, ends and replaces, with processes of the test's own making.

import { expect, onTestFinished, test } from 'vitest';
import { createDesired } from '../../src/fleet/desired.ts';
import { Supervisor } from '../../src/fleet/supervisor.ts';
import type { RoleProcess, Up } from '../../src/role-process.ts';
import { eventually } from '../support/eventually.ts';
import { silentLog } from '../support/store.ts';

/** A process that comes up and ends when the test says so. */
interface Puppet extends RoleProcess {
  readonly slot: number;
  stops: number;
  memory: number;
  busy: boolean;
  comeUp(): void;
  end(code: number | null): void;
}

function openSupervisor({ memoryBytes = Number.POSITIVE_INFINITY, upWithinMs = 600_000 } = {}) {
  const all: Puppet[] = [];
  const useless: (number | null)[] = [];
  const start = (slot: number): Puppet => {
    let up: (up: Up) => void = () => undefined;
    let end: (code: number | null) => void = () => undefined;
    const ended = new Promise<number | null>((resolve) => (end = resolve));
    const one: Puppet = {
      slot,
      pid: all.length + 1,
      stops: 0,
      memory: 1,
      busy: false,
      up: new Promise((resolve) => (up = resolve)),
      ended,
      stop: () => void (one.stops += 1),
      kill: () => one.end(null),
      rssBytes: async () => one.memory,
      isBusy: () => one.busy,
      comeUp: () => up({ url: undefined }),
      end(code) {
        up({ exitCode: code });
        end(code);
      },
    };
    all.push(one);
    return one;
  };
  const supervisor = new Supervisor({
    start,
    memoryBytes,
    upWithinMs,
    restartFirstMs: 2,
    log: silentLog,
    onUseless: (code) => useless.push(code),
  });
  onTestFinished(async () => {
    const stopped = supervisor.stop();
    supervisor.kill();
    await stopped;
  });
  const at = (index: number): Puppet => all[index] as Puppet;
  const started = (count: number): Promise<unknown> => eventually(() => all.length === count);
  return { supervisor, all, at, started, useless };
}

test('as many as are wanted; of too many the newest ends, in order, and its slot is free when it has', async () => {
  const { supervisor, all, at } = openSupervisor();
  supervisor.want(3);
  expect(all.map(({ slot }) => slot)).toEqual([0, 1, 2]);
  supervisor.want(2);
  expect(all.map(({ stops }) => stops)).toEqual([0, 0, 1]);
  supervisor.want(3);
  expect(at(3).slot).toBe(3);
  at(2).end(0);
  await at(2).ended;
  supervisor.want(4);
  expect(at(4).slot).toBe(2);
  expect(supervisor.count()).toBe(4);
});

test('of too many those end first that hold nothing', () => {
  const { supervisor, all, at } = openSupervisor();
  supervisor.want(4);
  at(1).busy = true;
  at(3).busy = true;
  supervisor.want(3);
  expect(all.map(({ stops }) => stops)).toEqual([0, 0, 1, 0]);
  supervisor.want(1);
  expect(all.map(({ stops }) => stops)).toEqual([1, 0, 1, 1]);
});

test('one that ends by itself is started again, once, also when others are wanted meanwhile', async () => {
  const { supervisor, all, at, started, useless } = openSupervisor();
  supervisor.want(2);
  at(0).comeUp();
  await at(0).up;
  at(0).end(null);
  await at(0).ended;
  supervisor.want(2);
  expect(all).toHaveLength(2);
  await started(3);
  at(1).end(137);
  await started(4);
  expect(supervisor.count()).toBe(2);
  expect(useless).toEqual([]);
});

test('what has never come up is told of', async () => {
  const { supervisor, at, started, useless } = openSupervisor();
  supervisor.want(1);
  at(0).end(78);
  await started(2);
  expect(useless).toEqual([78]);
});

test('a roll replaces one after the other, each when its successor is up', async () => {
  const { supervisor, all, at, started } = openSupervisor();
  supervisor.want(2);
  const rolled = supervisor.roll();
  await started(3);
  expect(all.map(({ stops }) => stops)).toEqual([0, 0, 0]);
  at(2).comeUp();
  await eventually(() => at(0).stops === 1);
  // What runs there goes on; the next one waits for its end.
  expect([all.length, supervisor.count()]).toEqual([3, 2]);
  at(0).end(0);
  await started(4);
  at(3).comeUp();
  await eventually(() => at(1).stops === 1);
  at(1).end(0);
  await rolled;
  expect([supervisor.count(), all.map(({ stops }) => stops)]).toEqual([2, [1, 1, 0, 0]]);
});

test('a successor that does not start leaves those before as they are', async () => {
  const { supervisor, all, at, started } = openSupervisor();
  supervisor.want(2);
  at(0).comeUp();
  const rolled = supervisor.roll();
  await started(3);
  at(2).end(78);
  await rolled;
  expect([supervisor.count(), all.map(({ stops }) => stops)]).toEqual([2, [0, 0, 0]]);
});

test('one with too much memory is replaced', async () => {
  const { supervisor, all, at, started } = openSupervisor({ memoryBytes: 100 });
  supervisor.want(2);
  for (const one of all) one.comeUp();
  await Promise.all(all.map(({ up }) => up));
  at(1).memory = 101;
  const checked = supervisor.checkMemory();
  await started(3);
  at(2).comeUp();
  await eventually(() => at(1).stops === 1);
  at(1).end(0);
  await checked;
  expect([at(0).stops, supervisor.count()]).toEqual([0, 2]);
});

test('more at once, fewer when it has been so for a minute, and never beyond the bounds', () => {
  const desired = createDesired({ fleetMin: 1, fleetMax: 5 });
  expect(desired(0, 0)).toBe(1);
  expect(desired(4, 5_000)).toBe(4);
  expect(desired(9, 10_000)).toBe(5);
  for (let at = 15_000; at < 70_000; at += 5_000) expect(desired(2, at)).toBe(5);
  expect(desired(2, 71_000)).toBe(2);
  // Redis was away for long: that nothing was read is no sign that nothing is to do.
  expect(desired(0, 200_000)).toBe(2);
  for (let at = 205_000; at <= 255_000; at += 5_000) expect(desired(0, at)).toBe(2);
  expect(desired(0, 261_000)).toBe(1);
});

test('one that hangs while it starts holds up neither the look at memory nor, for ever, a rolling restart', async () => {
  const { supervisor, at, all, started } = openSupervisor({ memoryBytes: 100, upWithinMs: 50 });
  supervisor.want(2);
  at(0).comeUp();
  await at(0).up;
  at(0).memory = 101;
  const checked = supervisor.checkMemory();
  await started(3);
  at(2).comeUp();
  await eventually(() => at(0).stops === 1);
  at(0).end(0);
  await checked;
  expect(at(1).stops).toBe(0);
  // The successor of the rolling restart hangs as well, and is given up.
  await supervisor.roll();
  await at(3).ended;
  expect(all.map(({ stops }) => stops)).toEqual([1, 0, 0, 0]);
});
