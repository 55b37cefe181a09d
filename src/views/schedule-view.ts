// A schedule as callers see it, and what it has made.

import * as v from 'valibot';
import { compact } from '../protocol/compact.ts';
import { DurabilitySchema } from '../protocol/options.ts';
import { nextTicks } from '../protocol/schedule.ts';
import { toTime } from '../protocol/time-text.ts';
import { ScheduledWorkflowSchema } from '../protocol/workflow.ts';
import type { StoredSchedule } from '../store/schedule-reader.ts';
import { named } from './component.ts';
import { BackoffView, taskEntries } from './task-view.ts';

/** Ticks that are shown. */
export const TICKS_SHOWN = 5;

export const ScheduleViewSchema = named(
  'Schedule',
  v.object({
    name: v.string(),
    queue: v.string(),
    type: v.exactOptional(
      v.pipe(v.string(), v.description('missing when it starts a workflow, and when it cannot be read')),
    ),
    input: v.exactOptional(v.unknown()),
    workflow: v.exactOptional(named('ScheduledWorkflow', ScheduledWorkflowSchema)),
    cron: v.exactOptional(v.string()),
    everyMs: v.exactOptional(v.number()),
    timeZone: v.exactOptional(v.string()),
    misfire: v.exactOptional(v.picklist(['skip', 'once'])),
    paused: v.exactOptional(v.boolean()),
    priority: v.exactOptional(taskEntries.priority),
    maxAttempts: v.exactOptional(v.number()),
    backoff: v.exactOptional(BackoffView),
    timeoutMs: v.exactOptional(v.number()),
    resultTtlMs: v.exactOptional(v.number()),
    ttlMs: v.exactOptional(v.number()),
    webhook: v.exactOptional(v.object({ url: v.string(), states: v.exactOptional(v.array(v.string())) })),
    tags: v.exactOptional(v.array(v.string())),
    next: v.pipe(v.array(v.string()), v.description('the next ticks, RFC 3339')),
    last: v.exactOptional(
      v.pipe(
        v.object({
          due: v.string(),
          task: v.exactOptional(v.string()),
          workflow: v.exactOptional(v.string()),
        }),
        v.description(
          'the latest tick, and the id of the task that it made, or of the workflow that it started',
        ),
      ),
    ),
    skipped: v.exactOptional(
      v.pipe(
        v.object({ count: v.number(), from: v.string(), until: v.string() }),
        v.description(
          'how many ticks were skipped so far; when the first and the last of the latest of them were due',
        ),
      ),
    ),
    fault: v.exactOptional(
      v.pipe(v.string(), v.description('what of the schedule cannot be read: put it again, or delete it')),
    ),
  }),
);
/** A schedule as callers see it. */
export type ScheduleView = v.InferOutput<typeof ScheduleViewSchema>;

/** One schema for both: a union would hide its members from generated clients. */
export const ScheduleReceiptSchema = named(
  'ScheduleReceipt',
  v.object({
    id: v.pipe(v.string(), v.description('of the task, or of the workflow')),
    queue: v.string(),
    type: v.exactOptional(v.pipe(v.string(), v.description('missing for a workflow, as is what follows'))),
    priority: v.exactOptional(taskEntries.priority),
    state: v.exactOptional(v.string()),
    durability: v.exactOptional(DurabilitySchema),
    links: v.object({ self: v.string(), events: v.exactOptional(v.string()) }),
  }),
);

export function toScheduleView(
  { name, queue, schedule, fault, lastRun, skipped }: StoredSchedule,
  now = Date.now(),
): object {
  const { terms: _, steps: __, ...shown } = schedule ?? {};
  const next = schedule && !schedule.paused ? nextTicks(schedule, now, TICKS_SHOWN) : [];
  return compact({
    ...shown,
    name,
    queue,
    next: next.map(toTime),
    last: lastRun && { ...lastRun, due: toTime(lastRun.due) },
    skipped: skipped && { ...skipped, from: toTime(skipped.from), until: toTime(skipped.until) },
    fault,
  });
}
