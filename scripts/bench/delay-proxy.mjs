// Latency on the way to a server, as a process of its own: `node delay-proxy.mjs PORT DELAY_MS`. Says its own port over
// IPC. The whole delay is put on the way there: a round trip takes as long, and half the timers are needed.

import { connect, createServer } from 'node:net';

const [, , target, delayText] = process.argv;
const delayMs = Number(delayText);

/** Keeps the order: one queue and one timer a connection. */
function delayed(write) {
  const waiting = [];
  let timer;
  function flush() {
    timer = undefined;
    const now = performance.now();
    while (waiting.length > 0 && waiting[0].due <= now + 0.05) write(waiting.shift().bytes);
    if (waiting.length > 0) timer = setTimeout(flush, waiting[0].due - now);
  }
  return (bytes) => {
    waiting.push({ bytes, due: performance.now() + delayMs });
    timer ??= setTimeout(flush, delayMs);
  };
}

const server = createServer({ noDelay: true }, (client) => {
  const upstream = connect({ port: Number(target), host: '127.0.0.1', noDelay: true });
  client.on(
    'data',
    delayed((bytes) => upstream.write(bytes)),
  );
  upstream.on('data', (bytes) => client.write(bytes));
  client.on('error', () => undefined).on('close', () => upstream.destroy());
  upstream.on('error', () => undefined).on('close', () => client.destroy());
});
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
process.on('disconnect', () => process.exit(0));
