// Values on the pipes of a process that runs one task: four bytes of length, then the value as `v8.serialize` writes it.

import { deserialize, serialize } from 'node:v8';

/** Pipes of the process, by number: its messages (blocking, so that none is lost when it ends), and those of the worker. */
export const FROM_PROCESS = 3;
export const TO_PROCESS = 4;

const LENGTH_BYTES = 4;
/** No value of ours is as long; four characters of any text would be a greater length. */
const LENGTH_LIMIT = 0x2000_0000;

export function toFrame(value: unknown): Buffer {
  const bytes = serialize(value);
  const frame = Buffer.allocUnsafe(LENGTH_BYTES + bytes.length);
  frame.writeUInt32LE(bytes.length);
  bytes.copy(frame, LENGTH_BYTES);
  return frame;
}

/**
 * Puts the pieces of a pipe together.
 * @returns takes the next piece; throws when the bytes are no frames
 */
export function createFrameReader(take: (value: unknown) => void): (piece: Buffer) => void {
  let pieces: Buffer[] = [];
  let length = 0;

  return (piece) => {
    pieces.push(piece);
    length += piece.length;
    for (;;) {
      if (length < LENGTH_BYTES) return;
      // Joined only when a frame is complete, so that a large one costs no more than its length.
      if ((pieces[0]?.length ?? 0) < LENGTH_BYTES) pieces = [Buffer.concat(pieces)];
      const valueLength = pieces[0]?.readUInt32LE() ?? 0;
      if (valueLength >= LENGTH_LIMIT) throw new RangeError('the bytes are no frame');
      const end = LENGTH_BYTES + valueLength;
      if (length < end) return;
      const all = Buffer.concat(pieces);
      pieces = [all.subarray(end)];
      length -= end;
      take(deserialize(all.subarray(LENGTH_BYTES, end)));
    }
  };
}
