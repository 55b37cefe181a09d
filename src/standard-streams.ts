// stdout and stderr of the program. Their reader may go away or stop reading; the program works and ends all the same.

import { writeSync } from 'node:fs';
import type { Readable } from 'node:stream';

/** Milliseconds for which a stalled reader blocks the program, once; until it reads again, lines are dropped. */
const READER_PATIENCE_MS = 1_000;
const LOOK_AGAIN_MS = 10;

/**
 * Lets writes to `process.stdout` and `process.stderr` fail in silence: by default the error of a closed pipe ends the
 * program. What threads still write is discarded: otherwise it would fill their memory.
 */
export function tolerateLostReaders(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', () => undefined);
    stream.on('unpipe', (thread: Readable) => thread.resume());
  }
}

/** Takes whole lines, with the interface of a destination of pino. */
export interface LineWriter {
  write(line: string): void;
}

/**
 * Writes lines to a file descriptor, each before `write` returns, so that the last ones survive the end of the process.
 * A line is dropped when it cannot be written: the pipe is closed (`EPIPE`), the terminal gone (`EIO`), the disk full (`ENOSPC`),
 * or the reader does not read (`EAGAIN`).
 */
export function createLineWriter(
  fd: number,
  write: (fd: number, bytes: Buffer, from: number) => number = writeSync,
): LineWriter {
  /** The rest of a line that was written in part. */
  let rest: Buffer = Buffer.alloc(0);
  let isStalled = false;

  /** @returns the bytes that were not written */
  function put(bytes: Buffer): Buffer {
    const deadline = performance.now() + (isStalled ? 0 : READER_PATIENCE_MS);
    let done = 0;
    while (done < bytes.length) {
      try {
        done += write(fd, bytes, done);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return Buffer.alloc(0);
        if (performance.now() >= deadline) {
          isStalled = true;
          return bytes.subarray(done);
        }
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOOK_AGAIN_MS);
      }
    }
    isStalled = false;
    return Buffer.alloc(0);
  }

  return {
    write(line) {
      if (rest.length > 0) rest = put(rest);
      if (rest.length > 0) return;
      const bytes = Buffer.from(line);
      const left = put(bytes);
      if (left.length < bytes.length) rest = left;
    },
  };
}
