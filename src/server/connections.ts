// The open connections of the server, closed without cutting a request.

import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as sleep, setImmediate as nextTurn } from 'node:timers/promises';
import { delay } from '../lifecycle.ts';
import type { RequestListener } from './pipelines.ts';

export interface Connections {
  /** Resolves when no connection has been open for a second, perhaps at once, or when the signal fires. */
  whenQuiet(signal: AbortSignal): Promise<void>;
  /** Accepts no further connections and closes each that has no request under way. Resolves when all are closed. */
  close(): Promise<void>;
}

const UNUSED_FOR_MS = 1_000;
/** Milliseconds that a new connection still has for its first request when the server stops. */
const FIRST_REQUEST_WITHIN_MS = 500;
/** When no connection was opened for this many milliseconds, the queue of the system counts as empty. */
const QUIET_MS = 20;
const QUIET_WITHIN_MS = 500;

/** @param listener handles the requests */
export function createConnections(http: Server, listener: RequestListener): Connections {
  let open = 0;
  let opened = 0;
  let lastClosedAt = Number.NEGATIVE_INFINITY;
  /** Requests that wait until the server has stopped listening. */
  let held: (() => void)[] | undefined;
  /** Connections without a request yet, as browsers open them, and when they were opened. Node does not count them as idle. */
  const unused = new Map<Socket, number>();

  http.on('connection', (socket: Socket) => {
    open += 1;
    opened += 1;
    unused.set(socket, performance.now());
    socket.once('close', () => {
      open -= 1;
      lastClosedAt = performance.now();
      unused.delete(socket);
    });
  });
  http.on('request', (incoming, outgoing) => {
    unused.delete(incoming.socket);
    if (held) held.push(() => listener(incoming, outgoing));
    else listener(incoming, outgoing);
  });

  /**
   * The system resets connections that wait in its queue when a program stops listening. Clients connect anew when an answer
   * has closed their connection, so answers are held back until the queue has stayed empty for `QUIET_MS`.
   */
  async function stopListening(onClosed: () => void): Promise<void> {
    const until = performance.now() + QUIET_WITHIN_MS;
    held = [];
    for (let before = -1; before !== opened && performance.now() < until; ) {
      before = opened;
      await sleep(QUIET_MS);
      // Two turns of the event loop: connections that wait in the queue are accepted in between.
      await nextTurn();
      await nextTurn();
    }
    http.close(onClosed);
    const answers = held;
    held = undefined;
    for (const answer of answers) answer();
  }

  async function closeUnused(): Promise<void> {
    const isYoung = (since: number): boolean => performance.now() - since < FIRST_REQUEST_WITHIN_MS;
    for (const [socket, since] of unused) if (!isYoung(since)) socket.destroy();
    if (unused.size > 0) await sleep(FIRST_REQUEST_WITHIN_MS);
    for (const socket of unused.keys()) socket.destroy();
  }

  return {
    async whenQuiet(signal) {
      while (!signal.aborted) {
        // A client without kept connections has none between two requests, so one moment without any proves nothing.
        const leftMs = lastClosedAt + UNUSED_FOR_MS - performance.now();
        if (open === 0 && leftMs <= 0) return;
        await delay(open > 0 ? UNUSED_FOR_MS : leftMs, signal);
      }
    },

    async close() {
      await new Promise<void>((resolve) => {
        void stopListening(resolve).then(closeUnused);
      });
    },
  };
}
