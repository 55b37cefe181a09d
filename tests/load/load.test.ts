import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, test } from 'vitest';
import { runLoad } from '../../src/load/load.ts';
import { LOAD_DEFAULTS, type LoadOptions } from '../../src/load/options.ts';
import type { LoadSummary } from '../../src/load/summary.ts';
import { EXIT_CODES } from '../../src/load/verdict.ts';
import {
  answer,
  answerProblem,
  type FakeServer,
  type Misbehaviour,
  recordOf,
  startFakeServer,
} from './fake-server.ts';

let server: FakeServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

interface Run {
  readonly summary: LoadSummary;
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** One run against a fake server that misbehaves as told. */
async function load(misbehaviour: Misbehaviour, options: Partial<LoadOptions> = {}): Promise<Run> {
  server = await startFakeServer(misbehaviour);
  return loadFrom(server.url, options);
}

async function loadFrom(url: URL, options: Partial<LoadOptions>): Promise<Run> {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const summary = await runLoad(
    { ...LOAD_DEFAULTS, tasks: 50, inFlight: 8, url, ...options },
    { stdout, stderr },
  );
  stdout.end();
  stderr.end();
  return {
    summary,
    exitCode: EXIT_CODES[summary.outcome],
    stdout: await text(stdout),
    stderr: await text(stderr),
  };
}

describe('a server that does its work', () => {
  test('every task is accounted for, with times', async () => {
    const { summary, exitCode, stdout, stderr } = await load({});
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
    await load(slow, { tasks: 300, inFlight: 5 });
    expect(server?.seen.mostOpen).toBe(5);
    expect(server?.seen.connections).toBeLessThanOrEqual(5);
  });

  test('what is sent is what was asked for', async () => {
    await load({}, { tasks: 1, type: 'multiply', input: { one: 6, two: 7 }, queue: 'heavy' });
    expect(server?.tasks[0]?.body).toEqual({ type: 'multiply', input: { one: 6, two: 7 }, queue: 'heavy' });
  });

  test('with json, stdout is one document: the summary', async () => {
    const { summary, stdout } = await load({}, { json: true });
    expect(JSON.parse(stdout)).toEqual(summary);
  });

  test('without waiting nothing is claimed about the tasks', async () => {
    const { summary, exitCode } = await load({}, { wait: false });
    expect(summary).toMatchObject({
      outcome: 'ok',
      accepted: 50,
      succeeded: null,
      lost: null,
      totalMs: null,
    });
    expect(server?.tasks.every((task) => task.looks === 0)).toBe(true);
    expect(exitCode).toBe(0);
  });
});

describe('trouble while sending', () => {
  test('a refusal is repeated after Retry-After', async () => {
    const times: number[] = [];
    const { summary, exitCode } = await load(
      {
        send(nth, response) {
          times.push(performance.now());
          if (nth !== 1) return false;
          answerProblem(response, 503, 'redis-unavailable', { 'retry-after': '2' });
          return true;
        },
      },
      { tasks: 1 },
    );
    expect(summary).toMatchObject({ sent: 1, accepted: 1, retries: 1, refused: 0, lost: 0 });
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(1_900);
    expect(exitCode).toBe(0);
  });

  test('refusals without end stop the run with exit code 7', async () => {
    const refuse: Misbehaviour = {
      send(_nth, response) {
        answerProblem(response, 429, 'overloaded', { 'retry-after': '1' });
        return true;
      },
    };
    const { summary, exitCode, stderr } = await load(refuse, { patienceMs: 200 });
    expect(summary).toMatchObject({ outcome: 'over-limit', sent: 8, accepted: 0, refused: 8 });
    expect(exitCode).toBe(7);
    expect(stderr).toContain('HTTP 429: overloaded: on purpose');
  });

  test('a connection that breaks makes the task unknown, not lost', async () => {
    const { summary, exitCode } = await load({
      send(nth, response) {
        if (nth !== 10) return false;
        response.destroy();
        return true;
      },
    });
    expect(summary).toMatchObject({
      outcome: 'ok',
      sent: 50,
      accepted: 49,
      unknown: 1,
      refused: 0,
      succeeded: 49,
      lost: 0,
    });
    expect(exitCode).toBe(0);
  });

  test('an answer that breaks off makes the task unknown', async () => {
    const { summary } = await load({
      send(nth, response) {
        if (nth !== 10) return false;
        response.writeHead(202, { 'content-length': '100' }).write('{"id":');
        setTimeout(() => response.destroy(), 20);
        return true;
      },
    });
    expect(summary).toMatchObject({ accepted: 49, unknown: 1, lost: 0 });
  });

  test('a server that never answers makes the task unknown', async () => {
    const { summary } = await load({ send: (nth) => nth === 10 }, { requestTimeoutMs: 200 });
    expect(summary).toMatchObject({ accepted: 49, unknown: 1, lost: 0 });
  });

  test('a server that fails inside makes the task unknown', async () => {
    const { summary } = await load({
      send(nth, response) {
        if (nth === 10) answerProblem(response, 500, 'internal');
        return nth === 10;
      },
    });
    expect(summary).toMatchObject({ accepted: 49, unknown: 1, lost: 0 });
  });

  test('nothing accepted for certain is not a success', async () => {
    const { summary, exitCode } = await load({
      send(_nth, response) {
        response.destroy();
        return true;
      },
    });
    expect(summary).toMatchObject({ outcome: 'unreachable', accepted: 0, unknown: 50 });
    expect(exitCode).toBe(3);
  });

  test('a server that restarts is waited for', async () => {
    const { summary } = await load(
      {
        send(nth, response) {
          if (nth !== 5) return false;
          response.setHeader('connection', 'close');
          server?.pauseListening(300);
          return false;
        },
      },
      { inFlight: 1 },
    );
    expect(summary).toMatchObject({ outcome: 'ok', accepted: 50, unknown: 0, lost: 0 });
    expect(summary.retries).toBeGreaterThan(0);
  });

  test('a rejected task stops the sending with exit code 6', async () => {
    const { summary, exitCode, stderr } = await load(
      {
        send(_nth, response) {
          answerProblem(response, 404, 'task not found');
          return true;
        },
      },
      { tasks: 1_000 },
    );
    expect(summary).toMatchObject({ outcome: 'rejected', sent: 8, refused: 8, accepted: 0 });
    expect(exitCode).toBe(6);
    expect(stderr).toContain('task not found');
  });

  test('no server at all: exit code 3 and what to do', async () => {
    const gone = await startFakeServer();
    await gone.close();
    const { summary, exitCode, stdout, stderr } = await loadFrom(gone.url, {});
    expect(summary).toMatchObject({ outcome: 'unreachable', sent: 0 });
    expect(exitCode).toBe(3);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^error: No connection to .*ECONNREFUSED.*npm start/);
  });
});

describe('trouble with accepted tasks', () => {
  test('a task that the server has forgotten is lost', async () => {
    let lostId = '';
    const { summary, exitCode, stdout } = await load({
      look(task, response) {
        if (task !== server?.tasks[20]) return false;
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
    const { summary, exitCode } = await load(
      {
        look(task, response) {
          if (task !== server?.tasks[20]) return false;
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
    await load(
      {
        look(task, response) {
          answer(response, 200, recordOf(task, 'running'));
          return true;
        },
      },
      { tasks: 1, drainTimeoutMs: 2_500 },
    );
    expect(server?.tasks[0]?.looks).toBeLessThan(6);
    expect(server?.seen.queueLooks).toBeLessThan(6);
  });

  test('tasks that end late are waited for, and only they are looked up again', async () => {
    const { summary } = await load({
      look(task, response) {
        const late = server?.tasks.slice(-3) ?? [];
        if (!late.includes(task) || task.looks > 2) return false;
        answer(response, 200, recordOf(task, 'running'));
        return true;
      },
    });
    expect(summary).toMatchObject({ outcome: 'ok', succeeded: 50, lost: 0 });
    const looks = server?.tasks.reduce((sum, task) => sum + task.looks, 0) ?? 0;
    expect(looks).toBeLessThan(70);
  });

  test('a server that is away during the check is asked again', async () => {
    const { summary } = await load({
      look(task, response) {
        if (task.looks > 1) return false;
        answerProblem(response, 503, 'redis-unavailable', { 'retry-after': '0' });
        return true;
      },
    });
    expect(summary).toMatchObject({ outcome: 'ok', succeeded: 50, lost: 0 });
  });

  test('dead and cancelled tasks are counted and are not a loss', async () => {
    const { summary, exitCode } = await load({
      look(task, response) {
        const state =
          task === server?.tasks[3] ? 'dead' : task === server?.tasks[4] ? 'cancelled' : 'succeeded';
        answer(response, 200, recordOf(task, state));
        return true;
      },
    });
    expect(summary).toMatchObject({ succeeded: 48, dead: 1, cancelled: 1, lost: 0 });
    expect(exitCode).toBe(0);
  });

  test('an interrupted run says what it knows', async () => {
    const interrupt = new AbortController();
    const { summary, exitCode } = await load(
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
