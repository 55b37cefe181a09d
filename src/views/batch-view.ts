// A batch as callers see it.

import * as v from 'valibot';
import { compact } from '../protocol/compact.ts';
import { toOptionalTime, toTime } from '../protocol/time-text.ts';
import { BATCH_STATES, type BatchRecord, stateOfBatch } from '../store/batches.ts';
import { named } from './component.ts';

const Time = v.pipe(v.string(), v.isoTimestamp());
const ThenView = v.object({ type: v.string(), queue: v.string() });

export const BatchViewSchema = named(
  'Batch',
  v.object({
    id: v.string(),
    name: v.exactOptional(v.string()),
    state: v.pipe(
      v.picklist(BATCH_STATES),
      v.description(
        '`open`: it takes tasks; `running`: it is closed, and not all have ended; `dead`, `cancelled`: all have, and one at least is',
      ),
    ),
    queue: v.pipe(v.string(), v.description('its home queue, which has its record')),
    counts: v.object({
      members: v.pipe(v.number(), v.description('its tasks, as far as they are accepted for certain')),
      pending: v.pipe(v.number(), v.description('tasks that are on their way, or are looked for')),
      ended: v.number(),
      succeeded: v.number(),
      dead: v.number(),
      cancelled: v.number(),
      missing: v.exactOptional(
        v.pipe(
          v.number(),
          v.description(
            'those of the cancelled that were never accepted: the batch was interrupted while its tasks were sent',
          ),
        ),
      ),
    }),
    success: v.exactOptional(v.pipe(ThenView, v.description('what follows when all have succeeded'))),
    complete: v.exactOptional(v.pipe(ThenView, v.description('what follows when all have ended'))),
    acceptedAt: Time,
    endedAt: v.exactOptional(
      v.pipe(
        Time,
        v.description(
          'when all had ended for the first time; of one whose tasks were retried, when all had succeeded',
        ),
      ),
    ),
    links: v.object({ self: v.string() }),
  }),
);
export type BatchView = v.InferOutput<typeof BatchViewSchema>;

export function toBatchView({ plan, progress }: BatchRecord, basePath: string): BatchView {
  const { members, pending, ended, succeeded, dead, cancelled, missing } = progress;
  return compact<BatchView>({
    id: plan.id,
    name: plan.name,
    state: stateOfBatch(progress),
    queue: plan.home,
    counts: compact<BatchView['counts']>({ members, pending, ended, succeeded, dead, cancelled, missing }),
    success: plan.success,
    complete: plan.complete,
    acceptedAt: toTime(progress.acceptedAt),
    endedAt: toOptionalTime(progress.endedAt),
    links: { self: `${basePath}/v1/batches/${plan.id}` },
  });
}
