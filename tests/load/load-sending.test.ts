import { afterEach, describe, expect, test } from 'vitest';
import { answerProblem, type Misbehaviour, startFakeServer } from './fake-server.ts';
import { createLoadFake, loadFrom } from './load-fake.ts';

const fake = createLoadFake();
afterEach(() => fake.close());

describe('trouble while sending', () => {
  test('a refusal is repeated after Retry-After', async () => {
    const times: number[] = [];
    const { summary, exitCode } = await fake.run(
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

  test('many loops that wait at the same time are no leak', async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error): number => warnings.push(warning);
    process.on('warning', onWarning);
    const { summary } = await fake.run(
      {
        send(nth, response) {
          if (nth > 64) return false;
          answerProblem(response, 503, 'overloaded', { 'retry-after': '1' });
          return true;
        },
      },
      { tasks: 64, inFlight: 64 },
    );
    process.off('warning', onWarning);
    expect(summary).toMatchObject({ accepted: 64, retries: 64 });
    expect(warnings).toEqual([]);
  });

  test('refusals without end stop the run with exit code 7', async () => {
    const refuse: Misbehaviour = {
      send(_nth, response) {
        answerProblem(response, 429, 'overloaded', { 'retry-after': '1' });
        return true;
      },
    };
    const { summary, exitCode, stderr } = await fake.run(refuse, { patienceMs: 200 });
    expect(summary).toMatchObject({ outcome: 'over-limit', sent: 8, accepted: 0, refused: 8 });
    expect(exitCode).toBe(7);
    expect(stderr).toContain('HTTP 429: overloaded: on purpose');
  });

  test('a connection that breaks makes the task unknown, not lost', async () => {
    const { summary, exitCode } = await fake.run({
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
    const { summary } = await fake.run({
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
    const { summary } = await fake.run({ send: (nth) => nth === 10 }, { requestTimeoutMs: 200 });
    expect(summary).toMatchObject({ accepted: 49, unknown: 1, lost: 0 });
  });

  test('a server that fails inside makes the task unknown', async () => {
    const { summary } = await fake.run({
      send(nth, response) {
        if (nth === 10) answerProblem(response, 500, 'internal');
        return nth === 10;
      },
    });
    expect(summary).toMatchObject({ accepted: 49, unknown: 1, lost: 0 });
  });

  test('nothing accepted for certain is not a success', async () => {
    const { summary, exitCode } = await fake.run({
      send(_nth, response) {
        response.destroy();
        return true;
      },
    });
    expect(summary).toMatchObject({ outcome: 'unreachable', accepted: 0, unknown: 50 });
    expect(exitCode).toBe(3);
  });

  test('a server that restarts is waited for', async () => {
    const { summary } = await fake.run(
      {
        send(nth, response) {
          if (nth !== 5) return false;
          response.setHeader('connection', 'close');
          fake.server.pauseListening(300);
          return false;
        },
      },
      { inFlight: 1 },
    );
    expect(summary).toMatchObject({ outcome: 'ok', accepted: 50, unknown: 0, lost: 0 });
    expect(summary.retries).toBeGreaterThan(0);
  });

  test('a rejected task stops the sending with exit code 6', async () => {
    const { summary, exitCode, stderr } = await fake.run(
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
