// What handlers write to stdout and stderr, as lines for the log: at most so many a second, so that a flood does not fill the log.

import { StringDecoder } from 'node:string_decoder';
import type { ThreadMemory } from './thread-memory.ts';

export type OutputStream = 'stdout' | 'stderr';
const STREAMS: readonly OutputStream[] = ['stdout', 'stderr'];

/** A longer line is cut into several. */
const LINE_CHARS = 4_000;
/** Of all that shares an `OutputBudget`. */
const LINES_A_SECOND = 500;
/** Lines beyond that are counted; the last ones are kept until there is room, or the run ends. */
const LATEST_KEPT = 20;
/** A line that does not end is passed on after this time. */
const UNENDED_MS = 1_000;

/** Lines that may be passed on. */
export class OutputBudget {
  #second = -1;
  #left = 0;

  take(): boolean {
    const second = Math.floor(performance.now() / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#left = LINES_A_SECOND;
    }
    if (this.#left === 0) return false;
    this.#left -= 1;
    return true;
  }
}

/** A line, or how many lines before the next one were dropped. */
export type Written = { readonly stream: OutputStream; readonly line: string } | { readonly dropped: number };
type Sink = (written: Written) => void;

type Memory = Pick<ThreadMemory, 'keep' | 'passedOn'>;

/** Cuts what one run writes into lines. */
export class OutputLines implements OutputTaker {
  readonly #sink: Sink;
  readonly #budget: OutputBudget;
  readonly #memory: Memory | undefined;
  readonly #unended = { stdout: '', stderr: '' };
  readonly #decoders = { stdout: new StringDecoder(), stderr: new StringDecoder() };
  #latest: (readonly [OutputStream, string])[] = [];
  #dropped = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param memory gets the text that would be lost if the thread were ended now */
  constructor(sink: Sink, budget: OutputBudget, memory?: Memory) {
    this.#sink = sink;
    this.#budget = budget;
    this.#memory = memory;
  }

  write(stream: OutputStream, chunk: string | Uint8Array): void {
    const text = typeof chunk === 'string' ? chunk : this.#decoders[stream].write(Buffer.from(chunk));
    const lines = (this.#unended[stream] + text).split(/\r?\n/);
    let last = lines.pop() ?? '';
    for (const line of lines) this.#passInPieces(stream, line);
    while (last.length > LINE_CHARS) {
      this.#pass(stream, last.slice(0, LINE_CHARS));
      last = last.slice(LINE_CHARS);
    }
    this.#unended[stream] = last;
    if (last === '') return;
    this.#memory?.keep(text.slice(-last.length));
    this.#timer ??= setTimeout(() => this.flush(), UNENDED_MS).unref();
  }

  /** Passes on what waits for more. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const stream of STREAMS) {
      const line = this.#unended[stream];
      this.#unended[stream] = '';
      if (line !== '') this.#pass(stream, line);
    }
    this.#passLatest();
    this.#memory?.passedOn();
  }

  #passInPieces(stream: OutputStream, line: string): void {
    this.#pass(stream, line.slice(0, LINE_CHARS));
    for (let at = LINE_CHARS; at < line.length; at += LINE_CHARS) {
      this.#pass(stream, line.slice(at, at + LINE_CHARS));
    }
  }

  #pass(stream: OutputStream, line: string): void {
    if (this.#budget.take()) {
      this.#passLatest();
      this.#sink({ stream, line });
      this.#memory?.passedOn();
      return;
    }
    this.#dropped += 1;
    this.#latest.push([stream, line]);
    if (this.#latest.length > LATEST_KEPT) this.#latest.shift();
    this.#memory?.keep(`${line}\n`);
  }

  #passLatest(): void {
    if (this.#dropped === 0) return;
    const lost = this.#dropped - this.#latest.length;
    if (lost > 0) this.#sink({ dropped: lost });
    for (const [stream, line] of this.#latest) this.#sink({ stream, line });
    this.#latest = [];
    this.#dropped = 0;
  }
}

export interface OutputTaker {
  write(stream: OutputStream, chunk: string | Uint8Array): void;
}

/**
 * Takes over what this thread writes to `process.stdout` and `process.stderr`.
 * @param find the taker of what is written; without one, it goes where it would go anyway
 * @returns puts the streams back as they were
 */
export function captureStreams(find: () => OutputTaker | undefined): () => void {
  const restores = STREAMS.map((name) => {
    const stream = process[name];
    const own = Object.getOwnPropertyDescriptor(stream, 'write');
    const original = stream.write.bind(stream) as (...args: unknown[]) => boolean;
    const write = (chunk: unknown, encoding?: unknown, callback?: unknown): boolean => {
      const taker = find();
      if (!taker || !isText(chunk)) return original(chunk, encoding, callback);
      taker.write(name, typeof chunk === 'string' ? decode(chunk, encoding) : chunk);
      const done = typeof encoding === 'function' ? encoding : callback;
      if (typeof done === 'function') process.nextTick(done);
      return true;
    };
    stream.write = write;
    return () => {
      if (own) Object.defineProperty(stream, 'write', own);
      else Reflect.deleteProperty(stream, 'write');
    };
  });
  return () => {
    for (const restore of restores) restore();
  };
}

function isText(chunk: unknown): chunk is string | Uint8Array {
  return typeof chunk === 'string' || chunk instanceof Uint8Array;
}

function decode(chunk: string, encoding: unknown): string | Uint8Array {
  const isPlain = typeof encoding !== 'string' || /^utf-?8$/i.test(encoding);
  return isPlain ? chunk : Buffer.from(chunk, encoding as BufferEncoding);
}
