// Explains why a task does not run yet, from facts that were all read at one moment. The first reason is the one to act on.

import * as v from 'valibot';
import { LANES } from '../protocol/lane.ts';
import { toOptionalTime, toTime } from '../protocol/time-text.ts';
import type { RunFacts } from '../store/inspector.ts';
import { MOST_AHEAD_COUNTED } from '../store/inspector.ts';
import { readStep, type TaskRecord } from '../store/record.ts';
import { compact } from '../protocol/compact.ts';
import { named } from '../views/component.ts';
import { taskEntries } from '../views/task-view.ts';

const REASON_CODES = [
  'upgrade-needed',
  'running',
  'finished',
  'lease-expired',
  'on-its-way',
  'queue-paused',
  'due-later',
  'retry-backoff',
  'no-live-worker',
  'workers-quiet',
  'type-unknown-to-workers',
  'popped-not-claimed',
  'behind-others',
  'about-to-run',
  'needs-unmet',
  'unknown-state',
] as const;

const ReasonSchema = v.object({
  code: v.picklist(REASON_CODES),
  blocking: v.pipe(v.boolean(), v.description('whether it keeps the task from running')),
  message: v.string(),
  since: v.exactOptional(v.string()),
  fix: v.exactOptional(v.pipe(v.string(), v.description('what to do about it'))),
});
type Reason = v.InferOutput<typeof ReasonSchema>;

const ExplanationEntries = v.object({
  id: v.string(),
  state: taskEntries.state,
  queue: v.string(),
  now: v.string(),
  reasons: v.pipe(v.array(named('Reason', ReasonSchema)), v.description('the first is the one to act on')),
  ahead: v.exactOptional(
    v.pipe(
      v.object({ count: v.number(), capped: v.boolean() }),
      v.description(`tasks ahead of it with its priority; counted up to ${MOST_AHEAD_COUNTED}`),
    ),
  ),
});
export const ExplanationSchema = named('Explanation', ExplanationEntries);
export type Explanation = v.InferOutput<typeof ExplanationEntries>;

/** @param type of the task */
export function explain(record: TaskRecord, type: string, facts: RunFacts): Explanation {
  return compact<Explanation>({
    id: record.id,
    state: record.state,
    queue: record.queue,
    now: toTime(facts.now),
    reasons: [...refusalReasons(facts), ...reasonsOf(record, type, facts)],
    ahead: aheadOf(record, facts),
  });
}

/** What follows is read as far as this release understands it. */
function refusalReasons({ refusal }: RunFacts): Reason[] {
  return refusal === undefined ? [] : [{ code: 'upgrade-needed', blocking: true, message: refusal }];
}

function reasonsOf(record: TaskRecord, type: string, facts: RunFacts): Reason[] {
  switch (record.state) {
    case 'succeeded':
    case 'cancelled':
      return [{ code: 'finished', blocking: false, message: `It is ${record.state}.` }];
    case 'dead':
      return [deadReason(record)];
    case 'running':
      return [runningReason(record, facts)];
    case 'scheduled':
      return [...pauseReasons(record, facts), laterReason(record), ...workerReasons(type, facts)];
    case 'waiting':
      return [{ code: 'needs-unmet', blocking: true, message: waitSentence(facts.unmet) }];
    case 'ready':
      return readyReasons(record, type, facts);
    case 'moved':
      return [{ code: 'on-its-way', blocking: false, message: 'It is on its way to another queue.' }];
    default:
      return [
        {
          code: 'unknown-state',
          blocking: true,
          message: `This release does not know the state "${String(record.state)}".`,
          fix: 'look at it with the release that wrote it',
        },
      ];
  }
}

function deadReason({ id, step: text }: TaskRecord): Reason {
  const step = text === undefined ? undefined : readStep(text);
  const fix =
    step === undefined
      ? `POST /v1/tasks/${id}/retry runs it again`
      : `POST /v1/workflows/${step.workflow}/retry runs it again, with all that has not succeeded`;
  return { code: 'finished', blocking: true, message: 'It failed for good.', fix };
}

/** Name of the need that is met when the workflow is committed (accept-workflow.ts). */
const START = '(start)';

/**
 * @param unmet needs by name, children and tokens; ` children <number>`, how many children there are in all; ` until <time>` when the wait ends by
 *   itself
 */
function waitSentence(unmet: readonly string[]): string {
  const valueOf = (word: string): string | undefined =>
    unmet.find((one) => one.startsWith(word))?.slice(word.length);
  const until = valueOf(' until ');
  const children = valueOf(' children ');
  const needs = unmet.filter((one) => !/^[ >]/.test(one));
  if (needs.length > 0 && needs.every((one) => one === START))
    return 'It waits until all steps of its workflow are written.';
  const names = needs.filter((one) => one !== START).map((one) => one.replace(/^\./, 'token '));
  const time = until === undefined ? '' : toTime(Number(until));
  const open = unmet.filter((one) => one.startsWith('>')).length;
  const waits = [
    ...(children === undefined ? [] : [`${open} of ${children} children`]),
    ...(names.length === 0 ? [] : [listOf(names)]),
  ];
  if (waits.length === 0) return `It waits until ${time}.`;
  return `It waits for ${waits.join(' and ')}${time === '' ? '' : `, until ${time} at the latest`}.`;
}

/** Names of needs in a sentence, so many at most. */
const NEEDS_NAMED = 10;

function listOf(names: readonly string[]): string {
  const shown = names.slice(0, NEEDS_NAMED).map((name) => `"${name}"`);
  const more = names.length - shown.length;
  return `${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

function runningReason({ worker, startedAt }: TaskRecord, { leaseUntil, now }: RunFacts): Reason {
  if (leaseUntil !== undefined && leaseUntil > now) {
    return compact<Reason>({
      code: 'running',
      blocking: false,
      message: `The worker ${worker ?? ''} runs it.`,
      since: toOptionalTime(startedAt),
    });
  }
  return {
    code: 'lease-expired',
    blocking: true,
    message: `The worker ${worker ?? ''} did not renew its lease in time. The next sweep gives the task to another one.`,
  };
}

function readyReasons(record: TaskRecord, type: string, facts: RunFacts): Reason[] {
  const reasons = [...pauseReasons(record, facts), ...workerReasons(type, facts)];
  if (facts.missedSince !== undefined) {
    reasons.push({
      code: 'popped-not-claimed',
      blocking: true,
      message: 'A worker popped its message and never claimed it. It is pushed again by itself.',
      since: toTime(facts.missedSince),
    });
  }
  const before = othersBefore(record, facts);
  if (before !== undefined) {
    reasons.push({
      code: 'behind-others',
      blocking: true,
      message: `It waits behind ${before}; ${facts.running} run.`,
      fix: 'more workers, more CONCURRENCY, or a higher priority',
    });
  }
  if (reasons.length > 0) return reasons;
  return [
    { code: 'about-to-run', blocking: false, message: 'Nothing is in its way: it is about to be started.' },
  ];
}

function pauseReasons({ queue }: TaskRecord, { pause }: RunFacts): Reason[] {
  if (!pause) return [];
  const why = pause.reason === undefined ? '.' : `: ${pause.reason}`;
  return [
    {
      code: 'queue-paused',
      blocking: true,
      message: `The queue "${queue}" is paused${why}`,
      since: toTime(pause.since),
      fix: `POST /v1/queues/${queue}/resume`,
    },
  ];
}

function laterReason({ dueAt, failures }: TaskRecord): Reason {
  const due = dueAt === undefined ? 'later' : `at ${toTime(dueAt)}`;
  if (failures === 0) return { code: 'due-later', blocking: true, message: `It is due ${due}.` };
  return {
    code: 'retry-backoff',
    blocking: true,
    message: `Attempt ${failures} failed; the next one is due ${due}.`,
  };
}

function workerReasons(type: string, { liveWorkers, quietWorkers, announced }: RunFacts): Reason[] {
  if (liveWorkers === 0) {
    return [
      {
        code: 'no-live-worker',
        blocking: true,
        message: 'No worker serves this queue.',
        fix: 'start one: APP_TYPE=worker with the queue in QUEUES',
      },
    ];
  }
  if (quietWorkers >= liveWorkers) {
    return [
      {
        code: 'workers-quiet',
        blocking: true,
        message: 'All workers of this queue are quiet: they claim nothing more.',
        fix: 'POST /v1/workers/{worker}/resume, or start another one',
      },
    ];
  }
  // A worker that announced nothing may know any type.
  const known =
    announced.length < liveWorkers || announced.some(({ types }) => types?.includes(type) ?? true);
  if (known) return [];
  return [
    {
      code: 'type-unknown-to-workers',
      blocking: true,
      message: `No worker of this queue has a handler for "${type}".`,
      fix: 'deploy workers with its module in TASKS',
    },
  ];
}

function othersBefore(record: TaskRecord, facts: RunFacts): string | undefined {
  const higher = LANES.slice(0, LANES.indexOf(record.lane)).filter((lane) => facts.ready[lane] > 0);
  const above = higher.map((lane) => `${facts.ready[lane]} with the priority ${lane}`);
  const { ahead } = facts;
  const same =
    ahead === 'more'
      ? [`more than ${MOST_AHEAD_COUNTED} with its priority`]
      : ahead
        ? [`${ahead} with its priority`]
        : [];
  const all = [...same, ...above];
  return all.length === 0 ? undefined : all.join(' and ');
}

function aheadOf({ state }: TaskRecord, { ahead }: RunFacts): Explanation['ahead'] | undefined {
  if (state !== 'ready' || ahead === undefined) return undefined;
  return ahead === 'more' ? { count: MOST_AHEAD_COUNTED, capped: true } : { count: ahead, capped: false };
}
