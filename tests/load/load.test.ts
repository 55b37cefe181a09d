import { afterEach, describe, expect, test } from 'vitest';
import { answer, answerProblem, type Misbehaviour, recordOf } from './fake-server.ts';
import { createLoadFake } from './load-fake.ts';

const fake = createLoadFake();
afterEach(() => fake.close());

describe('a server that does its work', () => {
  test('every task is accounted for, with times', async () => {
    const { summary, exitCode, stdout, stderr } = await fake.run({});
    expect(summary).toMatchObject({
      outcome: 'ok',
      sent: 50,
      accepted: 50,
      succeeded: 50,
      dead: 0,
      lost: 0,
      unknown: 0,
    });
    expect(summary.queueWaitMs).toEqual({ p50: 100, p95: 100, p99: 100, max: 100 });
    expect(summary.totalMs).toEqual({ p50: 120, p95: 120, p99: 120, max: 120 });
    expect(summary.enqueueMs?.max).toBeGreaterThan(0);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^lost +0$/m);
    expect(stderr).toMatch(/sending +50\/50 100%/);
    expect(stderr).toContain('Nothing was lost');
  });

  test('requests in flight stay in their bound and share connections', async () => {
    const slow: Misbehaviour = {
      look(task, response) {
        setTimeout(() => answer(response, 200, recordOf(task, 'succeeded')), 5);
        return true;
      },
    };
    await fake.run(slow, { tasks: 300, inFlight: 5 });
    expect(fake.server.seen.mostOpen).toBe(5);
    expect(fake.server.seen.connections).toBeLessThanOrEqual(5);
  });

  test('what is sent is what was asked for', async () => {
    await fake.run({}, { tasks: 1, type: 'multiply', input: { one: 6, two: 7 }, queue: 'heavy' });
    expect(fake.server.tasks[0]?.body).toEqual({
      type: 'multiply',
      input: { one: 6, two: 7 },
      queue: 'heavy',
    });
  });

  test('with json, stdout is one document: the summary', async () => {
    const { summary, stdout } = await fake.run({}, { json: true });
    expect(JSON.parse(stdout)).toEqual(summary);
  });

  test('without waiting nothing is claimed about the tasks', async () => {
    const { summary, exitCode } = await fake.run({}, { wait: false });
    expect(summary).toMatchObject({
      outcome: 'ok',
      accepted: 50,
      succeeded: null,
      lost: null,
      totalMs: null,
    });
    expect(fake.server.tasks.every((task) => task.looks === 0)).toBe(true);
    expect(exitCode).toBe(0);
  });
});

describe('trouble with accepted tasks', () => {
  test('a task that the server has forgotten is lost', async () => {
    let lostId = '';
    const { summary, exitCode, stdout } = await fake.run({
      look(task, response) {
        if (task !== fake.server.tasks[20]) return false;
        lostId = task.id;
        answerProblem(response, 404, 'not-found');
        return true;
      },
    });
    expect(summary).toMatchObject({
      outcome: 'lost',
      accepted: 50,
      succeeded: 49,
      lost: 1,
      missing: 1,
      unfinished: 0,
    });
    expect(summary.lostIds).toEqual([lostId]);
    expect(stdout).toContain(lostId);
    expect(exitCode).toBe(1);
  });

  test('a task that never ends is lost once the drain time is over', async () => {
    const { summary, exitCode } = await fake.run(
      {
        look(task, response) {
          if (task !== fake.server.tasks[20]) return false;
          answer(response, 200, recordOf(task, 'running'));
          return true;
        },
      },
      { drainTimeoutMs: 300 },
    );
    expect(summary).toMatchObject({ outcome: 'lost', succeeded: 49, lost: 1, missing: 0, unfinished: 1 });
    expect(exitCode).toBe(1);
  });

  test('a queue that does not move is not asked in a tight loop', async () => {
    await fake.run(
      {
        look(task, response) {
          answer(response, 200, recordOf(task, 'running'));
          return true;
        },
      },
      { tasks: 1, drainTimeoutMs: 2_500 },
    );
    // One a second, and those at both ends; a tight loop makes hundreds.
    expect(fake.server.tasks[0]?.looks).toBeLessThan(9);
    expect(fake.server.seen.queueLooks).toBeLessThan(9);
  });

  test.each([
    [{ paused: true }, 'the queue is paused'],
    [{ workers: 0 }, 'no worker serves the queue'],
  ])('a queue that cannot move says why: %o', async (queue, reason) => {
    const stuck: Misbehaviour = {
      queue,
      look(task, response) {
        answer(response, 200, recordOf(task, 'ready'));
        return true;
      },
    };
    const { stderr } = await fake.run(stuck, { tasks: 1, drainTimeoutMs: 300 });
    expect(stderr).toMatch(new RegExp(`draining .*\\(${reason}\\)`));
  });

  test('tasks that end late are waited for, and only they are looked up again', async () => {
    const { summary } = await fake.run({
      look(task, response) {
        const late = fake.server.tasks.slice(-3);
        if (!late.includes(task) || task.looks > 2) return false;
        answer(response, 200, recordOf(task, 'running'));
        return true;
      },
    });
    expect(summary).toMatchObject({ outcome: 'ok', succeeded: 50, lost: 0 });
    const looks = fake.server.tasks.reduce((sum, task) => sum + task.looks, 0);
    expect(looks).toBeLessThan(70);
  });

  test('a server that is away during the check is asked again', async () => {
    const { summary } = await fake.run({
      look(task, response) {
        if (task.looks > 1) return false;
        answerProblem(response, 503, 'redis-unavailable', { 'retry-after': '0' });
        return true;
      },
    });
    expect(summary).toMatchObject({ outcome: 'ok', succeeded: 50, lost: 0 });
  });

  test('dead and cancelled tasks are counted and are not a loss', async () => {
    const { summary, exitCode } = await fake.run({
      look(task, response) {
        const state =
          task === fake.server.tasks[3] ? 'dead' : task === fake.server.tasks[4] ? 'cancelled' : 'succeeded';
        answer(response, 200, recordOf(task, state));
        return true;
      },
    });
    expect(summary).toMatchObject({ succeeded: 48, dead: 1, cancelled: 1, lost: 0 });
    expect(exitCode).toBe(0);
  });

  test('an interrupted run says what it knows', async () => {
    const interrupt = new AbortController();
    const { summary, exitCode } = await fake.run(
      {
        send(nth) {
          if (nth === 20) interrupt.abort();
          return false;
        },
      },
      { signal: interrupt.signal },
    );
    expect(summary).toMatchObject({ outcome: 'interrupted', lost: null });
    expect(summary.sent).toBe(summary.accepted + summary.unknown + summary.refused);
    expect(summary.sent).toBeLessThan(50);
    expect(exitCode).toBe(130);
  });
});
