// What a worker says of itself, beside its runs.

import type { Family } from './family.ts';
import { createCounters } from './histogram.ts';
import type { ProcessMetrics } from './process-metrics.ts';
import { createRunMetrics, type ReadDueTimes, type RunMetrics } from './run-metrics.ts';

/** How calls of a worker go, by words such as `heartbeat of mails`. */
interface Calls {
  worked(call: string): void;
  failed(call: string, error: unknown): boolean;
}

export interface WorkerMetrics {
  readonly runs: RunMetrics;
  /** @param reason why the thread was gone */
  threadReplaced(reason: string): void;
  /** The same calls, watched. */
  watching(calls: Calls): Calls;
}

export interface WorkerFacts {
  readonly queues: readonly string[];
  /** Tasks that it can run at the same time. */
  readonly slots: number;
  /** Tasks of a queue that it holds. */
  readonly held: (queue: string) => number;
  /** Whether any of its queues is open. */
  readonly isOpen: () => boolean;
  readonly readDueTimes: ReadDueTimes;
}

const HEARTBEAT = 'heartbeat of ';

export function createWorkerMetrics(metrics: ProcessMetrics, facts: WorkerFacts): WorkerMetrics {
  const runs = createRunMetrics(facts.readDueTimes);
  const replaced = createCounters('popfleet_threads_replaced', 'Threads that were gone, by the reason', [
    'reason',
  ]);
  const renewals = createCounters('popfleet_lease_renewals', 'Heartbeats, by how they went', ['result']);
  let fetchedAt = performance.now();
  metrics.add(runs.collect);
  metrics.add(() => [
    ...gauges(facts),
    gauge(
      'popfleet_fetch_age_seconds',
      'Time since Redis last answered a fetch, a claim or outcomes of this worker, 0 while its queues are paused',
      [{ labels: [], value: facts.isOpen() ? (performance.now() - fetchedAt) / 1_000 : 0 }],
    ),
    replaced.collect(),
    renewals.collect(),
  ]);
  return {
    runs,
    threadReplaced: (reason) => replaced.add(1, reason),

    watching: (calls) => ({
      worked(call) {
        if (call.startsWith(HEARTBEAT)) renewals.add(1, 'renewed');
        else fetchedAt = performance.now();
        calls.worked(call);
      },
      failed(call, error) {
        if (call.startsWith(HEARTBEAT)) renewals.add(1, 'failed');
        return calls.failed(call, error);
      },
    }),
  };
}

function gauges({ queues, slots, held }: WorkerFacts): Family[] {
  const byQueue = queues.map((queue) => ({ labels: [['queue', queue] as const], value: held(queue) }));
  const all = byQueue.reduce((sum, { value }) => sum + value, 0);
  return [
    gauge('popfleet_slots', 'Tasks that this worker can run at the same time', [
      { labels: [], value: slots },
    ]),
    gauge('popfleet_slots_busy', 'Of these, those that are taken', [
      { labels: [], value: Math.min(slots, all) },
    ]),
    gauge(
      'popfleet_tasks_held',
      'Tasks that this worker holds, those that it has taken ahead included',
      byQueue,
    ),
  ];
}

function gauge(name: string, help: string, samples: Family['samples']): Family {
  return { name, type: 'gauge', help, samples };
}
