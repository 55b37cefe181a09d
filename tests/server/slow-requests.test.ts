// Clients that send a request byte by byte: they lose their sockets in time, and nobody else feels them.

import { connect, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { expectBelow } from '../support/expect-below.ts';
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

/** Milliseconds of the middle one of many requests: as many as a few seconds have, while no dribbler has come to its end. */
async function medianMs(): Promise<number> {
  const times: number[] = [];
  for (let spent = 0; times.length < 300 && spent < 3_000; spent += times.at(-1) ?? 0) {
    const before = performance.now();
    expect((await post(`${one.url()}/add`, { one: 1, two: 2 })).status).toBe(202);
    times.push(performance.now() - before);
  }
  return times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? Number.NaN;
}

test('200 requests that never end are given up, others are served as before', {
  timeout: 240_000,
}, async () => {
  await medianMs(); // warms up
  // Those of the last round, whose end is waited for.
  let heads: Dribbler[] = [];
  let bodies: Dribbler[] = [];
  // Usually about one; other programs may disturb either of the two.
  await expectBelow(4, async () => {
    for (const { socket } of [...heads, ...bodies]) socket.destroy();
    const alone = await medianMs();
    heads = await dribbleMany(150, `${POST}X: `);
    bodies = await dribbleMany(50, `${POST}Content-Length: 1000\r\n\r\n`);
    const ratio = (await medianMs()) / alone;
    expect([...heads, ...bodies].filter(({ socket }) => socket.closed)).toHaveLength(0);
    return ratio;
  });
  const headMs = await Promise.all(heads.map(({ gone }) => gone));
  // 10 s and 30 s, looked at every 5 s.
  expect(Math.max(...headMs)).toBeLessThan(17_000);
  const bodyMs = await Promise.all(bodies.map(({ gone }) => gone));
  expect(Math.max(...bodyMs)).toBeLessThan(37_000);
});
