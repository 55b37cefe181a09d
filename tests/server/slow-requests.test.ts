// Clients that send a request byte by byte: they lose their sockets in time, and nobody else feels them.

import { connect, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { post } from '../support/http.ts';
import { withServer } from '../support/with-server.ts';

const one = withServer();

const POST = 'POST /add HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';

interface Dribbler {
  readonly socket: Socket;
  /** Resolves when the server has closed it, with the milliseconds since the first byte. */
  readonly gone: Promise<number>;
}

/** Sends the beginning, then a space each second as long as it can. */
function dribble(beginning: string): Promise<Dribbler> {
  const { hostname, port } = new URL(one.url());
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname, () => {
      const since = performance.now();
      socket.write(beginning);
      const drip = setInterval(() => socket.write(' '), 1_000);
      const gone = new Promise<number>((over) => {
        socket.once('close', () => {
          clearInterval(drip);
          over(performance.now() - since);
        });
      });
      resolve({ socket, gone });
    });
    socket.on('error', () => undefined); // The server resets those that go on.
    socket.resume();
    onTestFinished(() => void socket.destroy());
  });
}

function dribbleMany(count: number, beginning: string): Promise<Dribbler[]> {
  return Promise.all(Array.from({ length: count }, () => dribble(beginning)));
}

/** Milliseconds of the middle one of many requests. */
async function medianMs(): Promise<number> {
  const times: number[] = [];
  for (let count = 0; count < 300; count += 1) {
    const before = performance.now();
    expect((await post(`${one.url()}/add`, { one: 1, two: 2 })).status).toBe(202);
    times.push(performance.now() - before);
  }
  return times.toSorted((a, b) => a - b)[150] ?? 0;
}

test('200 requests that never end are given up, others are served as before', async () => {
  await medianMs(); // warms up
  const alone = await medianMs();
  const heads = await dribbleMany(150, `${POST}X: `);
  const bodies = await dribbleMany(50, `${POST}Content-Length: 1000\r\n\r\n`);
  // Usually about one; other programs may disturb either of the two.
  expect((await medianMs()) / alone).toBeLessThan(4);
  const sockets = [...heads, ...bodies].map(({ socket }) => socket);
  expect(sockets.filter(({ closed }) => closed)).toEqual([]);
  const headMs = await Promise.all(heads.map(({ gone }) => gone));
  // 10 s and 30 s, looked at every 5 s.
  expect(Math.max(...headMs)).toBeLessThan(17_000);
  const bodyMs = await Promise.all(bodies.map(({ gone }) => gone));
  expect(Math.max(...bodyMs)).toBeLessThan(37_000);
}, 60_000);
