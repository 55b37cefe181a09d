// A pool of threads on its own: jobs go in, how they ended comes out.

import { tmpdir } from 'node:os';
import { decode } from 'cbor-x';
import { pino } from 'pino';
import type { Log } from '../../src/log.ts';
import { encodeContent } from '../../src/protocol/message.ts';
import { createPrefetch } from '../../src/worker/prefetch.ts';
import { createProcessRunner } from '../../src/worker/runners/process.ts';
import { createSemaphore } from '../../src/worker/runners/semaphore.ts';
import {
  type HandlerLink,
  type Job,
  type Report,
  type RunEnd,
  type Runner,
  type RunnerSettings,
  StopSource,
} from '../../src/worker/runners/runner.ts';
import { ThreadPool } from '../../src/worker/runners/thread-pool.ts';

export interface PoolSettings {
  /** Absolute path of the module with the handlers. */
  readonly module: string;
  readonly places?: number;
  /** Jobs that a thread gets at once, as if all had been tiny so far. */
  readonly together?: number;
  readonly waitLimitMs?: number;
  readonly threadMemoryMb?: number;
}

interface Sent {
  readonly type: string;
  readonly input?: unknown;
  readonly timeoutMs?: number;
}

export interface SentRun {
  readonly id: string;
  readonly stop: StopSource;
  readonly ended: Promise<RunEnd>;
}

export interface TestPool {
  readonly pool: ThreadPool;
  /** What it logged as an error, parsed. */
  readonly log: Record<string, unknown>[];
  /** Gives all of them to the pool in one turn of the event loop. */
  send(...sent: readonly Sent[]): readonly SentRun[];
  /** Sends one; answers its result, or the end of a run without one. */
  run(type: string, input?: unknown, timeoutMs?: number): Promise<unknown>;
}

/** @param number of the task: its id ends with it */
export function jobOf(number: number, type: string, input: unknown, timeoutMs?: number): Job {
  return {
    queue: 'default',
    id: `01890000-0000-7000-8000-${String(number).padStart(12, '0')}`,
    type,
    claim: 1,
    content: encodeContent(type, input, {}),
    attempt: 1,
    timeoutMs,
  };
}

/** Takes what handlers say, and does nothing with it. */
export const noLink: HandlerLink = { report: () => undefined, request: async () => ({}) };

/** A pool with one thread, and a runner of processes beside it. Both know the same tasks. */
export async function startRunners(
  settings: RunnerSettings,
  onReport: (report: Report) => void,
  log: Log,
): Promise<{ readonly pool: ThreadPool; readonly isolated: Runner }> {
  const link = { ...noLink, report: onReport };
  const pool = new ThreadPool({
    settings,
    semaphore: createSemaphore(1),
    prefetch: createPrefetch(1),
    link,
    log,
  });
  await pool.start();
  return { pool, isolated: createProcessRunner(settings, link, log) };
}

export async function startPool(settings: PoolSettings): Promise<TestPool> {
  const { module, places = 1, together = 1, waitLimitMs = 600_000, threadMemoryMb = 64 } = settings;
  const log: Record<string, unknown>[] = [];
  const write = (line: string): void => void log.push(JSON.parse(line) as Record<string, unknown>);
  const pool = new ThreadPool({
    settings: {
      tasks: { taskModules: [module], baseDir: tmpdir(), taskDurationMs: 10 },
      resultLimitBytes: 1_000_000,
      threadMemoryMb,
    },
    semaphore: createSemaphore(places),
    prefetch: { ...createPrefetch(places), batchSize: () => together },
    link: noLink,
    log: pino({ level: 'error' }, { write }),
    waitLimitMs,
  });
  await pool.start();
  let latest = 0;

  function send(...sent: readonly Sent[]): readonly SentRun[] {
    return sent.map(({ type, input = {}, timeoutMs }) => {
      latest += 1;
      const stop = new StopSource();
      const job = jobOf(latest, type, input, timeoutMs);
      return { id: job.id, stop, ended: Promise.resolve(pool.run(job, stop)) };
    });
  }

  return {
    pool,
    log,
    send,
    async run(type, input, timeoutMs) {
      const [one] = send({
        type,
        ...(input === undefined ? {} : { input }),
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
      });
      return one && endOf(one);
    },
  };
}

/** The result of a run, the text of its error, or the kind of its end. */
export async function endOf({ ended }: Pick<SentRun, 'ended'>): Promise<unknown> {
  const end = await ended;
  if (end.kind === 'failed' || end.kind === 'snoozed') return end.error.message;
  if (end.kind !== 'succeeded') return end.kind;
  return end.result.length === 0 ? undefined : (decode(end.result) as unknown);
}
