// What Redis keeps beside the definition of a schedule, as text.

import { createHash } from 'node:crypto';
import { TASK_ID } from '../protocol/names.ts';
import type { SkippedTicks } from '../protocol/schedule.ts';

/** Later than this no `Date` can be. */
const LATEST_MS = 8.64e15;

/** The tick that ran last. Times are milliseconds since 1970. */
export interface LastRun {
  readonly due: number;
  /** The task that it made, or the workflow that it started. */
  readonly task?: string;
  readonly workflow?: string;
}

/** What `redis.sha1hex` answers for it; '' for none. */
export function digestOf(definition: Buffer | undefined): string {
  return definition ? createHash('sha1').update(definition).digest('hex') : '';
}

/** Due time and id, and `workflow` when it is that of one, as tick.lua writes them; `undefined` when the text is anything else. */
export function readLastRun(text: string): LastRun | undefined {
  const [due = '', id = '', kind] = text.split(' ');
  if (!isTime(due) || !TASK_ID.test(id)) return undefined;
  return kind === 'workflow' ? { due: Number(due), workflow: id } : { due: Number(due), task: id };
}

/** Their number, the first and the last, as plans.lua reads them. */
export function writeSkipped({ count, from, until }: SkippedTicks): string {
  return `${count} ${from} ${until}`;
}

/** `undefined` when the text is anything else. */
export function readSkipped(text: string): SkippedTicks | undefined {
  const [count = '', from = '', until = ''] = text.split(' ');
  if (!isTime(count) || !isTime(from) || !isTime(until)) return undefined;
  return { count: Number(count), from: Number(from), until: Number(until) };
}

function isTime(text: string): boolean {
  return /^\d{1,16}$/.test(text) && Number(text) <= LATEST_MS;
}
