// A scripted queue whose sweeps run the ticks that they name, as a worker does.

import type { Redis } from 'ioredis';
import * as v from 'valibot';
import { encodeCbor } from '../../src/protocol/cbor.ts';
import { type Schedule, ScheduleSchema } from '../../src/protocol/schedule.ts';
import type { Swept, SweepSettings } from '../../src/store/sweeper.ts';
import { runTicks, type TickReport } from '../../src/store/ticks.ts';
import { KEY, openScriptedQueue, QUEUE, type ScriptedQueue } from './scripted-queue.ts';

export interface Ticking extends ScriptedQueue {
  /** Sweeps and ticks until nothing is due at this moment; `between` runs after each sweep. */
  tickAll(between?: () => Promise<void>): Promise<{ sweeps: Swept[]; reports: TickReport[] }>;
  /** Stores a schedule (or any bytes) and the time of its next tick, beside the way a server does it. */
  plan(
    name: string | Buffer,
    definition: Schedule | Buffer | undefined,
    due?: number | string,
  ): Promise<void>;
  plannedAt(name: string | Buffer): Promise<number | undefined>;
}

export async function openTicking(client: Redis, settings: Partial<SweepSettings> = {}): Promise<Ticking> {
  const queue = await openScriptedQueue(client, settings);
  return {
    ...queue,
    async tickAll(between) {
      const sweeps: Swept[] = [];
      const reports: TickReport[] = [];
      for (;;) {
        const swept = await queue.sweep();
        sweeps.push(swept);
        reports.push(...(await runTicks(client, QUEUE, swept)));
        if (swept.nextMs > 0) return { sweeps, reports };
        if (sweeps.length > 500) throw new Error('the sweep is due at once for ever');
        await between?.();
      }
    },
    async plan(name, definition, due) {
      if (definition) {
        const bytes = Buffer.isBuffer(definition) ? definition : encodeCbor(definition);
        await client.hset(`${KEY}:schedules`, name as string, bytes);
      }
      if (due !== undefined) await client.zadd(`${KEY}:ticks`, due, name);
    },
    async plannedAt(name) {
      const score = await client.zscore(`${KEY}:ticks`, name);
      return score === null ? undefined : Number(score);
    },
  };
}

export function schedule(more: object = {}): Schedule {
  const timing = 'cron' in more ? {} : { everyMs: 60_000 };
  return v.parse(ScheduleSchema, { type: 'add', input: { one: 1, two: 2 }, ...timing, ...more });
}
