// Cuts connections whose client reads nothing of an answer: bytes that it does not read stay in the memory of the server.

import type { Socket } from 'node:net';

export interface SlowReaderLimits {
  /** A connection whose answer makes no progress for this many milliseconds is cut. */
  readonly stallMs: number;
  /** The same while all connections together have more than `pendingBytes` to write. */
  readonly pressedStallMs: number;
  readonly pendingBytes: number;
}

export const SLOW_READER_LIMITS: SlowReaderLimits = {
  stallMs: 30_000,
  pressedStallMs: 5_000,
  pendingBytes: 128 * 1_048_576,
};

export interface SlowReaders {
  watch(socket: Socket): void;
  /** To be called every second. */
  look(): void;
}

/** State of a connection when its last progress was seen. */
interface Seen {
  written: number;
  queued: number;
  /** When that was, in milliseconds of `now`. */
  at: number;
}

/** Not in the types; Node itself uses it to see whether a write makes progress (`lib/net.js`, `_onTimeout`). */
interface WithHandle {
  readonly _handle?: { readonly writeQueueSize?: number } | null;
}

/** @param now milliseconds of a clock that never goes back */
export function createSlowReaders(
  { stallMs, pressedStallMs, pendingBytes }: SlowReaderLimits,
  now: () => number = () => performance.now(),
): SlowReaders {
  /** `undefined` = no bytes of an answer wait. */
  const sockets = new Map<Socket, Seen | undefined>();

  /** @returns since when the client has read nothing; `undefined` when it has, or no bytes wait */
  function stalledSince(socket: Socket, seen: Seen | undefined, at: number): number | undefined {
    if (socket.writableLength === 0) {
      if (seen) sockets.set(socket, undefined);
      return undefined;
    }
    // Bytes of the pieces that were written whole, and the bytes of the current piece that were not.
    const written = socket.bytesWritten - socket.writableLength;
    const queued = (socket as WithHandle)._handle?.writeQueueSize ?? 0;
    if (seen && seen.written === written && seen.queued === queued) return seen.at;
    sockets.set(socket, { written, queued, at });
    return undefined;
  }

  return {
    watch(socket) {
      sockets.set(socket, undefined);
      socket.once('close', () => sockets.delete(socket));
    },

    look() {
      const at = now();
      let pending = 0;
      const stalled: (readonly [socket: Socket, since: number])[] = [];
      for (const [socket, seen] of sockets) {
        pending += socket.writableLength;
        const since = stalledSince(socket, seen, at);
        if (since !== undefined) stalled.push([socket, since]);
      }
      stalled.sort(([, one], [, other]) => one - other);
      for (const [socket, since] of stalled) {
        if (at - since < (pending > pendingBytes ? pressedStallMs : stallMs)) break;
        pending -= socket.writableLength;
        socket.destroy();
      }
    },
  };
}
