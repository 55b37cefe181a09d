// The body of a request as it comes in.

import type { IncomingMessage } from 'node:http';
import { PopfleetError } from '../protocol/errors.ts';
import { createGrowingBytes } from './growing-bytes.ts';

/** So much may wait until it is asked for. */
const MOST_WAITING_BYTES = 65_536;

/**
 * Node takes some microseconds for each chunk of a body, so a body of single bytes is dearer than any other. A body may have
 * so many chunks, and one more for each so many bytes.
 */
const TINY_PARTS = 10_000;
const BYTES_A_PART = 32;

/**
 * What has come since the last time is one piece, in however many parts it came: a caller may send each byte as a chunk of its
 * own, and a turn of this generator costs some microseconds.
 * Whoever stops asking leaves the rest where it is: the HTTP server takes it off the connection within half a second, or
 * closes that.
 * @throws PopfleetError `malformed-body` when the caller breaks off, or sends far too many tiny chunks
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
            // Node hands on the chunks of one read one by one, and would let this go on after each.
            setImmediate(resolve);
          };
        });
      }
    }
    if (!incoming.readableEnded) {
      throw new PopfleetError('malformed-body', 'The request was broken off.', { cause: incoming.errored });
    }
  } finally {
    incoming.off('data', onData).off('end', onOver).off('error', onOver).off('close', onOver);
  }
}
