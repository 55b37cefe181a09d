// What a server says of the queues, which is the same whichever server of the fleet is asked.

import { LANES } from '../protocol/lane.ts';
import { TASK_STATES } from '../protocol/task-state.ts';
import { type Census, MOST_QUEUES, type QueueCensus } from '../store/census.ts';
import type { QueueTotals } from '../store/totals.ts';
import type { Family, Labels, Sample } from './family.ts';
import type { Collect } from './process-metrics.ts';

type OfQueue = readonly [name: string, help: string, read: (queue: QueueCensus) => number];

const COUNTERS: readonly OfQueue[] = [
  ['tasks_accepted', 'Tasks that were accepted', ({ totals }) => totals.accepted],
  [
    'tasks_started',
    'Claims of workers; a task that runs again is claimed again',
    ({ totals }) => totals.started,
  ],
  ['tasks_retried', 'Attempts that failed and are followed by another one', ({ totals }) => totals.failed],
  ['tasks_snoozed', 'Runs that were put off, which is no failure', ({ totals }) => totals.snoozed],
  ['tasks_suspended', 'Runs that ended to wait without a slot', ({ totals }) => totals.suspended],
  [
    'tasks_released',
    'Tasks that workers gave back, mostly when they stopped',
    ({ totals }) => totals.released,
  ],
  [
    'tasks_returned',
    'Tasks that came back because their worker, or process, was lost',
    ({ totals }) => totals.returned,
  ],
  [
    'tasks_poisoned',
    'Tasks that are dead because they took down too many workers',
    ({ totals }) => totals.poisoned,
  ],
  ['tasks_replayed', 'Dead tasks that a person has run again', ({ totals }) => totals.replayed],
  ['tasks_removed', 'Tasks whose rows have gone', ({ totals }) => totals.removed],
  [
    'tasks_ready_seconds',
    'Time that tasks have been ready for a worker, all together',
    ({ totals }) => totals.readyMs / 1_000,
  ],
  [
    'tasks_running_seconds',
    'Time that tasks have run, all together',
    ({ totals }) => totals.runningMs / 1_000,
  ],
  [
    'stale_finishes',
    'Outcomes that were refused because another worker had the task by then',
    ({ totals }) => totals.stale,
  ],
  [
    'ledger_repaired',
    'Messages that were popped, never claimed, and found by the ledger',
    ({ totals }) => totals.repaired,
  ],
  ['malformed_messages', 'Messages of other programs that are none', ({ totals }) => totals.malformed],
  [
    'ticks_dropped',
    'Ticks of schedules that were missed and not made up for',
    ({ totals }) => totals.droppedTicks,
  ],
];

const GAUGES: readonly OfQueue[] = [
  [
    'ledger_imbalance',
    'Tasks accepted without those of all states and those removed, always 0',
    ({ totals }) => totals.imbalance,
  ],
  ['queue_paused', 'Whether the queue is paused', ({ isPaused }) => Number(isPaused)],
  ['workers', 'Workers that serve the queue', ({ workers }) => workers],
  ['retained_bytes', 'Memory of Redis that finished tasks take, about', ({ bytes }) => bytes],
  ['outbox_entries', 'Ends of tasks that wait to be followed', ({ outbox }) => outbox.length],
  [
    'outbox_oldest_age_seconds',
    'How long the oldest of these has waited',
    ({ outbox }) => outbox.oldestMs / 1_000,
  ],
];

const ENDS = { succeeded: 'endedSucceeded', dead: 'endedDead', cancelled: 'endedCancelled' } as const;

/** @param takeCensus rejects while Redis is away: then there is nothing to say of the queues */
export function createQueueMetrics(takeCensus: () => Promise<Census>): Collect {
  const keepGrowing = createGrowing();

  return async (knows) => {
    const census = await takeCensus().catch(() => undefined);
    if (!census) return [];
    const { queues, queueCount, memory } = census;
    const known = queues.filter(({ queue }) => knows(queue)).map(keepGrowing);
    return [
      plain('redis_memory_used_bytes', 'Memory of Redis that counts against its limit', memory.usedBytes),
      plain('redis_memory_limit_bytes', 'Its limit (maxmemory), 0 when it has none', memory.limitBytes),
      plain('queues', `Queues in Redis, of which the first ${MOST_QUEUES} by name have metrics`, queueCount),
      family('tasks', 'gauge', 'Tasks by their state', known, ({ tasks }) =>
        TASK_STATES.map((state) => [[['state', state]], tasks[state]]),
      ),
      family('tasks_finished', 'counter', 'Tasks that ended', known, ({ totals }) =>
        Object.entries(ENDS).map(([outcome, name]) => [[['outcome', outcome]], totals[name]]),
      ),
      family(
        'oldest_ready_age_seconds',
        'gauge',
        'How long the next task of a lane has been ready',
        known,
        ({ oldestReadyMs }) =>
          LANES.flatMap((lane) => {
            const ms = oldestReadyMs[lane];
            return ms === undefined ? [] : [[[['lane', lane]], ms / 1_000] as const];
          }),
      ),
      ...COUNTERS.map((one) => ofQueues('counter', one, known)),
      ...GAUGES.map((one) => ofQueues('gauge', one, known)),
    ];
  };
}

function plain(name: string, help: string, value: number): Family {
  return { name: `popfleet_${name}`, type: 'gauge', help, samples: [{ labels: [], value }] };
}

function ofQueues(type: Family['type'], [name, help, read]: OfQueue, queues: readonly QueueCensus[]): Family {
  return family(name, type, help, queues, (queue) => [[[], read(queue)]]);
}

function family(
  name: string,
  type: Family['type'],
  help: string,
  queues: readonly QueueCensus[],
  read: (queue: QueueCensus) => readonly (readonly [Labels, number])[],
): Family {
  const samples = queues.flatMap((one) =>
    read(one).map(([labels, value]): Sample => ({ labels: [['queue', one.queue], ...labels], value })),
  );
  return { name: `popfleet_${name}`, type, help, samples };
}

/**
 * Redis is not read at one moment, so a sum of times may come out a little lower than before. A counter that falls is taken for one
 * that began anew, so it keeps its value then. When Redis was emptied, or an older copy took its place, all of them begin anew.
 */
function createGrowing(): (census: QueueCensus) => QueueCensus {
  const seen = new Map<string, QueueTotals>();
  return (census) => {
    const before = seen.get(census.queue);
    let { totals } = census;
    if (before && before.accepted <= totals.accepted) {
      totals = {
        ...totals,
        readyMs: Math.max(before.readyMs, totals.readyMs),
        runningMs: Math.max(before.runningMs, totals.runningMs),
      };
    }
    seen.set(census.queue, totals);
    return { ...census, totals };
  };
}
