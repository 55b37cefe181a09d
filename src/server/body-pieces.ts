// Reads the body of a request in the pieces in which it comes in, or a small one at once.

import type { IncomingMessage } from 'node:http';
import { PopfleetError } from '../protocol/errors.ts';
import { createGrowingBytes } from './growing-bytes.ts';

/** Bytes that may wait to be taken; beyond, the socket is not read. */
const MOST_WAITING_BYTES = 65_536;

/**
 * Node takes some microseconds for each chunk of a body, so a body of single bytes costs the most. A body may have this many
 * chunks, and one more for each this many bytes.
 */
const TINY_PARTS = 10_000;
const BYTES_A_PART = 32;

/**
 * A piece is all that has come since the last one, in however many chunks: a client may send each byte as a chunk of its own,
 * and a turn of this generator costs some microseconds.
 * When the consumer stops, the rest stays on the connection: the HTTP server reads it within half a second, or closes the
 * connection.
 * @throws PopfleetError `malformed-body` when the client breaks off, or sends far too many tiny chunks
 */
export async function* bodyPieces(incoming: IncomingMessage): AsyncGenerator<Uint8Array> {
  const arrived = createGrowingBytes();
  let isOver = incoming.readableEnded || incoming.destroyed;
  const nothing = (): void => undefined;
  let wake = nothing;
  let credit = TINY_PARTS;
  const onData = (part: Uint8Array): void => {
    credit += part.length / BYTES_A_PART - 1;
    arrived.append(part);
    if (arrived.length >= MOST_WAITING_BYTES) incoming.pause();
    wake();
  };
  const onOver = (): void => {
    isOver = true;
    wake();
  };
  incoming.on('data', onData).on('end', onOver).on('error', onOver).on('close', onOver);
  try {
    for (;;) {
      if (credit < 0) throw new PopfleetError('malformed-body', 'The body comes in too many tiny chunks.');
      if (arrived.length > 0) {
        const piece = arrived.take();
        incoming.resume();
        yield piece;
      } else if (isOver) {
        break;
      } else {
        await new Promise<void>((resolve) => {
          wake = () => {
            wake = nothing;
            // Node emits the chunks of one read one by one: goes on once after all of them, not after each.
            setImmediate(resolve);
          };
        });
      }
    }
    if (!incoming.readableEnded) {
      throw brokenOff(incoming);
    }
  } finally {
    incoming.off('data', onData).off('end', onOver).off('error', onOver).off('close', onOver);
  }
}

/**
 * The whole of a body that is small. @throws PopfleetError `malformed-body` when the client breaks off
 */
export function readAtOnce(incoming: IncomingMessage): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    const onOver = (): void => {
      if (!incoming.readableEnded) return reject(brokenOff(incoming));
      const [first] = parts;
      const bytes = first && parts.length === 1 ? first : Buffer.concat(parts);
      resolve(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length));
    };
    if (incoming.destroyed) return onOver();
    incoming.on('data', (part: Buffer) => parts.push(part));
    incoming.once('end', onOver).once('error', onOver).once('close', onOver);
  });
}

function brokenOff(incoming: IncomingMessage): PopfleetError {
  return new PopfleetError('malformed-body', 'The request was broken off.', { cause: incoming.errored });
}
