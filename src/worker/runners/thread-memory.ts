// The last progress and output of a thread, in memory that it shares with the main thread: they are there also when the
// thread is ended in the middle of a loop, exits, or runs out of memory.

/** Of a note: 256 characters, each of three bytes at most. */
const NOTE_BYTES = 768;
const TEXT_BYTES = 8_192;
const MOST_WRITTEN = 0x7fff_0000;

/** Places in the words at the beginning. */
const NEWEST = 0;
const WRITTEN = 1;
const PASSED_ON = 2;
const NOTE_LENGTHS = 3;
const WORDS_BYTES = 32;
/** Run and percentage of each of the two values. */
const NUMBERS_BYTES = 4 * Float64Array.BYTES_PER_ELEMENT;
const NOTES_FROM = WORDS_BYTES + NUMBERS_BYTES;
const TEXT_FROM = NOTES_FROM + 2 * NOTE_BYTES;

export interface LastProgress {
  /** The number of the run that reported it. */
  readonly run: number;
  readonly percent: number;
  readonly note: string | undefined;
}

/** The latest progress, and the latest text that was not passed on. Written by the thread, read when it is gone. */
export class ThreadMemory {
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #numbers: Float64Array;
  readonly #notes: readonly Uint8Array[];
  readonly #text: Buffer;
  readonly #encoder = new TextEncoder();

  /** @param memory of the other side; without it there is nothing yet */
  constructor(memory?: SharedArrayBuffer) {
    this.memory = memory ?? new SharedArrayBuffer(TEXT_FROM + TEXT_BYTES);
    this.#words = new Int32Array(this.memory, 0, WORDS_BYTES / Int32Array.BYTES_PER_ELEMENT);
    this.#numbers = new Float64Array(this.memory, WORDS_BYTES, 4);
    this.#notes = [0, 1].map(
      (slot) => new Uint8Array(this.memory, NOTES_FROM + slot * NOTE_BYTES, NOTE_BYTES),
    );
    this.#text = Buffer.from(this.memory, TEXT_FROM, TEXT_BYTES);
    if (!memory) this.#words[NEWEST] = -1;
  }

  setProgress(run: number, percent: number, note: string | undefined): void {
    // Into the older of the two: whenever the thread is ended, the newer one is whole.
    const slot = Atomics.load(this.#words, NEWEST) === 0 ? 1 : 0;
    this.#numbers[2 * slot] = run;
    this.#numbers[2 * slot + 1] = percent;
    const bytes = this.#notes[slot];
    const length = note === undefined || !bytes ? -1 : this.#encoder.encodeInto(note, bytes).written;
    this.#words[NOTE_LENGTHS + slot] = length;
    Atomics.store(this.#words, NEWEST, slot);
  }

  progress(): LastProgress | undefined {
    const slot = Atomics.load(this.#words, NEWEST);
    if (slot < 0) return undefined;
    const length = this.#words[NOTE_LENGTHS + slot] ?? -1;
    const note = length < 0 ? undefined : Buffer.from(this.#notes[slot]?.slice(0, length) ?? []).toString();
    return { run: this.#numbers[2 * slot] ?? 0, percent: this.#numbers[2 * slot + 1] ?? 0, note };
  }

  /** Adds text that is not passed on yet; the oldest goes when there is no room. */
  keep(text: string): void {
    const bytes = Buffer.from(text.slice(-TEXT_BYTES)).subarray(-TEXT_BYTES);
    // 32 bits last for 2 GB of text that was thrown away.
    if ((this.#words[WRITTEN] ?? 0) > MOST_WRITTEN) this.#forget();
    const written = this.#words[WRITTEN] ?? 0;
    const at = written % TEXT_BYTES;
    const first = bytes.subarray(0, TEXT_BYTES - at);
    this.#text.set(first, at);
    this.#text.set(bytes.subarray(first.length), 0);
    Atomics.store(this.#words, WRITTEN, written + bytes.length);
  }

  #forget(): void {
    Atomics.store(this.#words, PASSED_ON, 0);
    Atomics.store(this.#words, WRITTEN, 0);
  }

  /** All text so far was passed on. */
  passedOn(): void {
    Atomics.store(this.#words, PASSED_ON, this.#words[WRITTEN] ?? 0);
  }

  /** The text that was not passed on. */
  rest(): string {
    const written = Atomics.load(this.#words, WRITTEN);
    const from = Math.max(Atomics.load(this.#words, PASSED_ON), written - TEXT_BYTES);
    const [at, to] = [from % TEXT_BYTES, written % TEXT_BYTES];
    if (from === written) return '';
    const parts =
      at < to ? [this.#text.subarray(at, to)] : [this.#text.subarray(at), this.#text.subarray(0, to)];
    return Buffer.concat(parts).toString();
  }
}
