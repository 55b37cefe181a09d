// The wait of a long poll for the end of a workflow or a batch.

import type { Context } from 'hono';
import type { Waiters } from '../store/waiters.ts';
import type { AppEnv } from './app-env.ts';

interface Wait<Seen> {
  /** Milliseconds at most; 0 = the record is answered as it is. */
  readonly ms: number;
  /** Reads it from its home queue. */
  readonly find: (id: string, homes: readonly string[]) => Promise<Seen | undefined>;
  readonly isOver: (seen: Seen) => boolean;
}

/** @returns the record once it is over, or as it is when the time is; `undefined` when it is gone by then */
export async function waitForRecord<
  Seen extends { readonly plan: { readonly id: string; readonly home: string } },
>(
  c: Context<AppEnv>,
  waiters: Pick<Waiters, 'waitForRecord'>,
  record: Seen,
  { ms, find, isOver }: Wait<Seen>,
): Promise<Seen | undefined> {
  if (ms <= 0 || isOver(record)) return record;
  const { id, home: queue } = record.plan;
  const look = (): Promise<Seen | undefined> => find(id, [queue]);
  return waiters.waitForRecord({ id, queue, look, isOver }, ms, c.req.raw.signal, c.get('caller').key);
}
