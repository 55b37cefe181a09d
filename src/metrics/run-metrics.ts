// What a worker says of its runs, by queue and type.

import { timeOfTaskId } from '../protocol/task-id.ts';
import type { ClaimedTask, OutcomeWord } from '../store/consumer.ts';
import { readHeader, type TaskHeader } from '../store/record.ts';
import { fieldsOf, SPAN_SECONDS } from '../store/spans.ts';
import type { Collect } from './process-metrics.ts';
import { type CountingObserver, createCounters, createHistograms, type Observer } from './histogram.ts';

/** Of one queue and type. */
interface TypeMetrics {
  /** It was claimed, and begins to run when there is a place. */
  claimed(task: ClaimedTask): void;
  /** @param ms that its handler ran */
  ran(ms: number): void;
  /** @param stopMs that its stop took, when it was stopped */
  ended(word: OutcomeWord, stopMs: number | undefined): void;
}

export interface RunMetrics {
  /** @param type one that the worker knows */
  of(queue: string, type: string): TypeMetrics;
  /** How often tasks of a queue have waited for how long since this was asked last: flat, fields of its counts and numbers. */
  takeWaits(queue: string): readonly (string | number)[];
  readonly collect: Collect;
}

/** When tasks were due, by their ids; `undefined` for those that were ready at once. @throws Error of the store */
export type ReadDueTimes = (
  queue: string,
  ids: readonly string[],
) => Promise<readonly (number | undefined)[]>;

/** Below what one command may have. */
const IDS_A_CALL = 1_000;

export function createRunMetrics(readDueTimes: ReadDueTimes): RunMetrics {
  const labels = ['queue', 'type'];
  const waits = createHistograms(
    'popfleet_task_wait_seconds',
    'Time from acceptance, or from when it was due, until the first claim of a task',
    labels,
    SPAN_SECONDS,
  );
  const runs = createHistograms('popfleet_task_run_seconds', 'Time that handlers run', labels, SPAN_SECONDS);
  const stops = createHistograms(
    'popfleet_stop_seconds',
    'Time that it took to stop runs, from ending the thread, or from asking a handler that then ended by itself',
    labels,
    SPAN_SECONDS,
  );
  const outcomes = createCounters('popfleet_runs', 'Runs by how they ended', [...labels, 'outcome']);
  const waiting = createWaiting(readDueTimes);
  const byQueue = new Map<string, Map<string, TypeMetrics>>();
  /** By queue the histograms of all its types. */
  const waitsOf = new Map<string, CountingObserver[]>();
  const taken = new Map<string, number>();

  function open(queue: string, type: string): TypeMetrics {
    const [wait, run, stop] = [waits.of(queue, type), runs.of(queue, type), stops.of(queue, type)];
    waitsOf.set(queue, [...(waitsOf.get(queue) ?? []), wait]);
    return {
      claimed: (task) => waiting.add(task, wait),
      ran: (ms) => run.observe(ms / 1_000),
      ended(word, stopMs) {
        outcomes.add(1, queue, type, word);
        if (stopMs !== undefined) stop.observe(stopMs / 1_000);
      },
    };
  }

  return {
    of(queue, type) {
      let types = byQueue.get(queue);
      if (!types) {
        types = new Map();
        byQueue.set(queue, types);
      }
      const known = types.get(type) ?? open(queue, type);
      types.set(type, known);
      return known;
    },

    takeWaits(queue) {
      const all = waitsOf.get(queue) ?? [];
      return fieldsOf('wait').flatMap((field, at) => {
        const count = all.reduce((sum, { counts }) => sum + (counts[at] ?? 0), 0);
        const key = `${queue} ${field}`;
        const grown = count - (taken.get(key) ?? 0);
        taken.set(key, count);
        return grown > 0 ? [field, grown] : [];
      });
    },

    collect: () => [waits.collect(), runs.collect(), stops.collect(), outcomes.collect()],
  };
}

interface Due {
  readonly id: string;
  readonly acceptedAt: number;
  readonly startedAt: number;
  readonly wait: Observer;
}

/** First claims. Of most tasks id and token say how long they have waited; of others Redis is asked when they were due. */
function createWaiting(readDueTimes: ReadDueTimes): { add(task: ClaimedTask, wait: Observer): void } {
  let token = '';
  let header: TaskHeader | undefined;
  const asked = new Map<string, Due[]>();

  /** Once for all of a turn of the event loop. While Redis is away it is not known how long they have waited. */
  function ask(): void {
    for (const [queue, tasks] of asked) {
      for (let at = 0; at < tasks.length; at += IDS_A_CALL) {
        const some = tasks.slice(at, at + IDS_A_CALL);
        const ids = some.map(({ id }) => id);
        readDueTimes(queue, ids).then(
          (dues) => {
            for (const [index, { wait, acceptedAt, startedAt }] of some.entries()) {
              wait.observe(seconds(Math.max(acceptedAt, dues[index] ?? 0), startedAt));
            }
          },
          () => undefined,
        );
      }
    }
    asked.clear();
  }

  return {
    add(task, wait) {
      if (task.claim > 1) return;
      // Tasks that are claimed together often have the same.
      if (task.token !== token || !header) {
        token = task.token;
        header = readHeader(token);
      }
      const { acceptedAt, startedAt = 0 } = header;
      if (acceptedAt === undefined) {
        wait.observe(seconds(timeOfTaskId(task.id), startedAt));
        return;
      }
      if (asked.size === 0) setImmediate(ask);
      const ofQueue = asked.get(task.queue) ?? [];
      asked.set(task.queue, ofQueue);
      ofQueue.push({ id: task.id, acceptedAt, startedAt, wait });
    },
  };
}

/** The clock of a host that makes ids may be a little ahead of that of Redis. */
function seconds(since: number, until: number): number {
  return Math.max(0, until - since) / 1_000;
}
