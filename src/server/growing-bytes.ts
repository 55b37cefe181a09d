// Joins bytes that come in pieces in one buffer that grows: a body may come in millions of pieces, and each that is kept by
// itself costs a hundred bytes beside its own.

export interface GrowingBytes {
  readonly length: number;
  append(piece: Uint8Array): void;
  /** Takes all bytes since the last call. The buffer belongs to the caller. */
  take(): Uint8Array;
}

const FIRST_BYTES = 4_096;

export function createGrowingBytes(): GrowingBytes {
  let bytes = Buffer.alloc(0);
  let length = 0;
  return {
    get length() {
      return length;
    },

    append(piece) {
      const needed = length + piece.length;
      if (needed > bytes.length) {
        const larger = Buffer.allocUnsafeSlow(Math.max(FIRST_BYTES, 2 * bytes.length, needed));
        bytes.copy(larger, 0, 0, length);
        bytes = larger;
      }
      bytes.set(piece, length);
      length = needed;
    },

    take() {
      const taken = bytes.subarray(0, length);
      bytes = Buffer.alloc(0);
      length = 0;
      return taken;
    },
  };
}
