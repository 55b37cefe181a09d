// Cuts connections whose reader takes nothing of an answer: what was not taken stands in the memory of the server.

import type { Socket } from 'node:net';

export interface SlowReaderLimits {
  /** A connection on which an answer makes no progress for so long is cut. */
  readonly stallMs: number;
  /** The same while the answers of all connections together have more than `pendingBytes` to go. */
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

/** How far a connection had come when it was last seen to move. */
interface Seen {
  written: number;
  queued: number;
  /** When that was, by `now`. */
  at: number;
}

/** Not in its types, but Node itself asks it whether a write moves on (`lib/net.js`, `_onTimeout`). */
interface WithHandle {
  readonly _handle?: { readonly writeQueueSize?: number } | null;
}

/** @param now milliseconds of a clock that never goes back */
export function createSlowReaders(
  { stallMs, pressedStallMs, pendingBytes }: SlowReaderLimits,
  now: () => number = () => performance.now(),
): SlowReaders {
  /** `undefined` = nothing of an answer waits. */
  const sockets = new Map<Socket, Seen | undefined>();

  /** @returns since when nothing was taken; `undefined` when something was, or nothing waits */
  function stalledSince(socket: Socket, seen: Seen | undefined, at: number): number | undefined {
    if (socket.writableLength === 0) {
      if (seen) sockets.set(socket, undefined);
      return undefined;
    }
    // Bytes of pieces that are wholly through, and how much of the piece that is under way is not.
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
