// One entry of the event stream of a queue, and where it stands there.

import { TASK_ID_CHARS } from '../protocol/names.ts';
import type { TaskState } from '../protocol/task-state.ts';

export interface TaskMove {
  readonly queue: string;
  readonly id: string;
  readonly state: TaskState | 'removed';
}

export interface EventPosition {
  /** Id of the entry in its Redis stream: `milliseconds-sequence`. */
  readonly id: string;
  /** Its field `n`: one more than that of the entry before it. */
  readonly number: number;
}

/** How far an operation is: at each change of its state, and now and then while it runs. */
interface OperationNews {
  readonly kind: 'operation';
  readonly queue: string;
  readonly id: string;
  readonly state: string;
  /** Tasks that there are to look at, about, and how many of them were. */
  readonly total: number;
  readonly looked: number;
  readonly matched: number;
  readonly done: number;
}

/** That the steps of a workflow may begin, or that it has ended. */
interface WorkflowNews {
  readonly kind: 'workflow';
  /** Its home queue. */
  readonly queue: string;
  readonly id: string;
  readonly state: string;
  readonly generation: number;
}

/** That all tasks of a closed batch have ended, once more after some were retried. */
interface BatchNews {
  readonly kind: 'batch';
  /** Its home queue. */
  readonly queue: string;
  readonly id: string;
  readonly state: string;
}

export type News = OperationNews | WorkflowNews | BatchNews;

export interface EventEntry {
  readonly position: EventPosition;
  readonly moves: readonly TaskMove[];
  /** Ids of tasks with new progress or log lines. */
  readonly progress: readonly string[];
  /** Of operations, workflows and batches. */
  readonly news: readonly News[];
  /** By id, of tasks that have ended while somebody waited for them. */
  readonly rows: ReadonlyMap<string, ToldRow>;
}

/** The row of a task in an event; `readToldRow` of record.ts reads it. */
export interface ToldRow {
  readonly queue: string;
  readonly bytes: Buffer;
}

/** Names and values in turn, as Redis answers them. The reader of events gets bytes, because rows are. */
type Fields = readonly (string | Buffer)[];

/** Before the first entry of a stream. */
export const STREAM_START: EventPosition = { id: '0-0', number: 0 };

export function readEntry(queue: string, [id, fields]: readonly [string | Buffer, Fields]): EventEntry {
  return {
    position: readPosition([id, fields]),
    moves: wordsOf(fields, 'm').map((move) => ({
      queue,
      id: move.slice(0, TASK_ID_CHARS),
      state: move.slice(TASK_ID_CHARS) as TaskMove['state'],
    })),
    progress: wordsOf(fields, 'p'),
    news: [
      ...textsOf(fields, 'o').flatMap((text) => readNews<OperationNews>('operation', queue, text)),
      ...textsOf(fields, 'w').flatMap((text) => readNews<WorkflowNews>('workflow', queue, text)),
      ...textsOf(fields, 'b').flatMap((text) => readNews<BatchNews>('batch', queue, text)),
    ],
    rows: new Map(
      valuesOf(fields, 'r')
        .filter(Buffer.isBuffer)
        .map((bytes) => [bytes.toString('latin1', 0, TASK_ID_CHARS), { queue, bytes }]),
    ),
  };
}

/** Nothing for what another program has written. */
function readNews<One extends News>(kind: One['kind'], queue: string, text: string): One[] {
  try {
    const news = JSON.parse(text) as Partial<News> | null;
    if (typeof news?.id !== 'string' || typeof news.state !== 'string') return [];
    return [{ ...news, kind, queue } as One];
  } catch {
    return [];
  }
}

/** `n` is the first field; 0 stands for what is no number, in an entry of another program. */
export function readPosition([id, fields]: readonly [string | Buffer, Fields]): EventPosition {
  return { id: String(id), number: Number(String(fields[1])) || 0 };
}

/** Milliseconds of the Redis clock. */
export function timeOfPosition({ id }: EventPosition): number {
  return Number(id.slice(0, id.indexOf('-')));
}

/** Whether `one` stands behind `other` in the stream. Not by the numbers: they begin anew when Redis has lost its data. */
export function isAfter(one: EventPosition, other: EventPosition): boolean {
  const difference = timeOfPosition(one) - timeOfPosition(other);
  return difference === 0 ? sequenceOf(one) > sequenceOf(other) : difference > 0;
}

/** Whether every entry follows the one before it, the first one `before`. */
export function isUnbroken(before: EventPosition, entries: readonly EventEntry[]): boolean {
  return entries.every(({ position }, at) => position.number === before.number + at + 1);
}

function sequenceOf({ id }: EventPosition): number {
  return Number(id.slice(id.indexOf('-') + 1));
}

/** Words of all fields with this name. */
function wordsOf(fields: Fields, name: string): string[] {
  return textsOf(fields, name).flatMap((text) => text.split(' '));
}

function textsOf(fields: Fields, name: string): string[] {
  return valuesOf(fields, name).map(String);
}

function valuesOf(fields: Fields, name: string): Fields {
  return fields.filter((_, at) => at % 2 === 1 && String(fields[at - 1]) === name);
}
