// A server is restarted behind a balancer, under load: no request is cut.

import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { endAll, type RoleProcess, spawnRole } from '../support/fleet.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';

const CONNECTIONS = 10;
const PROBE_EVERY_MS = 200;

let redis: TestRedis;

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis?.stop());

interface Reply {
  readonly status: number;
  readonly connection: string | undefined;
}

function get(agent: Agent, url: string): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { agent }, (answer: IncomingMessage) => {
      answer
        .resume()
        .once('error', reject)
        .once('end', () =>
          resolve({ status: answer.statusCode ?? 0, connection: answer.headers.connection }),
        );
    });
    sent.once('error', reject).end();
  });
}

async function startServer(env: Record<string, string>): Promise<RoleProcess> {
  const one = spawnRole('server', { REDIS_URL: redis.url, ...env });
  onTestFinished(() => endAll([one]));
  const agent = new Agent({ keepAlive: false });
  await eventually(async () => (await get(agent, `${one.url()}/readyz`)).status === 200);
  return one;
}

it('case 23: under load on kept connections not one request is cut while a server stops', async () => {
  const [first, second] = await Promise.all([
    startServer({ DRAIN_MS: '3000' }),
    startServer({ DRAIN_MS: '3000' }),
  ]);
  // Like a balancer: it keeps its connections, and takes a server out once its readiness says so.
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const probes = new Agent({ keepAlive: false });
  const faults: unknown[] = [];
  let isFirstIn = true;
  let isOver = false;
  const answers = { first: 0, closing: 0, second: 0 };

  async function probe(): Promise<void> {
    while (isFirstIn) {
      isFirstIn = await get(probes, `${first.url()}/readyz`).then(
        ({ status }) => status === 200,
        () => false,
      );
      await sleep(PROBE_EVERY_MS);
    }
  }
  async function load(): Promise<void> {
    while (!isOver) {
      const toFirst = isFirstIn;
      try {
        const { status, connection } = await get(agent, `${(toFirst ? first : second).url()}/v1/queues`);
        if (status !== 200) faults.push(status);
        answers[toFirst ? 'first' : 'second'] += 1;
        if (toFirst && connection === 'close') answers.closing += 1;
      } catch (error) {
        faults.push(error);
      }
    }
  }
  const running = [probe(), ...Array.from({ length: CONNECTIONS }, load)];
  await eventually(() => answers.first > 200);
  first.signal('SIGTERM');
  expect(await first.exited).toBe(0);
  await eventually(() => answers.second > 200);
  isOver = true;
  await Promise.all(running);
  agent.destroy();

  expect(faults).toEqual([]);
  expect(answers.closing).toBeGreaterThan(0);
});

it('case 23: without a balancer the connections end after an answer, and the last ones are refused, not reset', async () => {
  const server = await startServer({ DRAIN_MS: '1000' });
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const faults: string[] = [];
  let answered = 0;
  async function load(): Promise<void> {
    for (;;) {
      try {
        await get(agent, `${server.url()}/v1/queues`);
        answered += 1;
      } catch (error) {
        faults.push((error as NodeJS.ErrnoException).code ?? String(error));
        return;
      }
    }
  }
  const running = Array.from({ length: CONNECTIONS }, load);
  await eventually(() => answered > 100);
  server.signal('SIGTERM');
  await Promise.all(running);
  expect(await server.exited).toBe(0);
  expect(faults).toEqual(faults.map(() => 'ECONNREFUSED'));
});

it('case 23: an idle connection is answered as long as the drain lasts, and then closed in order', async () => {
  const server = await startServer({ DRAIN_MS: '60000' });
  const idle = connect(Number(new URL(server.url()).port), '127.0.0.1');
  let heard = '';
  idle.on('data', (text: Buffer) => (heard += text.toString()));
  const ask = (): void => void idle.write('GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n');
  ask();
  await eventually(() => heard.includes('"ready"'));
  server.signal('SIGTERM');
  await eventually(() => server.log().some(({ msg }) => msg === 'stopping'));
  const ended = once(idle, 'end');
  ask();
  await ended;
  expect(heard).toMatch(/ 503 [\s\S]*connection: close/i);
  // Its connection was the last one: nobody is left to wait for.
  expect(await server.exited).toBe(0);
});

it('case 23: a stop without connections takes no drain time, and a second signal cuts it short', async () => {
  const [alone, pressed] = await Promise.all([
    startServer({ DRAIN_MS: '600000' }),
    startServer({ DRAIN_MS: '600000' }),
  ]);
  const idle = connect(Number(new URL(pressed.url()).port), '127.0.0.1');
  await once(idle, 'connect');
  for (const one of [alone, pressed]) one.signal('SIGTERM');
  expect(await alone.exited).toBe(0);
  await eventually(() => pressed.log().some(({ msg }) => msg === 'stopping'));
  await sleep(600);
  expect(pressed.child.exitCode).toBeNull();
  pressed.signal('SIGTERM');
  expect(await pressed.exited).toBe(0);
});
