// The moves of an entry as bytes of an event stream, made once for all clients that get the same ones.

import { toTime } from '../../protocol/time-text.ts';
import type { TaskMove } from '../../store/event-entry.ts';

/** Events that are written together. */
export interface Frame {
  readonly events: number;
  /** Whole events, without the blank line after the last one: an `id` may follow. */
  readonly text: string;
  /** The text as bytes, by the `id` line that follows it. */
  readonly bytes: Map<string, Buffer>;
}

/** Most events of a frame: it bounds what a slow client must take as a whole. */
const EVENTS_A_FRAME = 500;
/** Most `id` lines of a frame whose bytes are kept: clients that follow the same queues have the same line and share them. */
const MOST_SHARED = 16;

/** Frames are freed with their entries, once every client has taken them. */
const framesOfMoves = new WeakMap<readonly TaskMove[], readonly Frame[]>();
const narrowedMoves = new WeakMap<readonly TaskMove[], Map<string, readonly TaskMove[]>>();

/** @param ms when they happened; the same array always has the same time */
export function framesOf(moves: readonly TaskMove[], ms: number): readonly Frame[] {
  const known = framesOfMoves.get(moves);
  if (known) return known;
  const at = toTime(ms);
  const frames: Frame[] = [];
  for (let from = 0; from < moves.length; from += EVENTS_A_FRAME) {
    const some = moves.slice(from, from + EVENTS_A_FRAME);
    frames.push({
      events: some.length,
      text: some.map((move) => eventOf(move, at)).join('\n'),
      bytes: new Map(),
    });
  }
  framesOfMoves.set(moves, frames);
  return frames;
}

/** @param idLine the line with the `id`; '' = none */
export function bytesOf({ text, bytes }: Frame, idLine: string): Buffer {
  const known = bytes.get(idLine);
  if (known) return known;
  const made = Buffer.from(`${text}${idLine}\n`);
  if (bytes.size < MOST_SHARED) bytes.set(idLine, made);
  return made;
}

/** The moves that lead to one of the states; the same array for the same states. */
export function movesTo(moves: readonly TaskMove[], states: ReadonlySet<string>): readonly TaskMove[] {
  const name = [...states].toSorted().join();
  const narrowed = narrowedMoves.get(moves) ?? new Map<string, readonly TaskMove[]>();
  narrowedMoves.set(moves, narrowed);
  const known = narrowed.get(name) ?? moves.filter(({ state }) => states.has(state));
  narrowed.set(name, known);
  return known;
}

function eventOf({ queue, id, state }: TaskMove, at: string): string {
  return `event: state\ndata: ${JSON.stringify({ queue, task: id, state, at })}\n`;
}
