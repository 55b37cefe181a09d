// A pool of threads on its own: jobs go in, how they ended comes out.

import { tmpdir } from 'node:os';
import { decode } from 'cbor-x';
import { pino } from 'pino';
import { encodeContent } from '../../src/protocol/message.ts';
import { createAhead } from '../../src/worker/ahead.ts';
import { createGate } from '../../src/worker/gate.ts';
import type { Job } from '../../src/worker/job.ts';
import { createPool, type Pool } from '../../src/worker/pool.ts';
import type { RunEnd } from '../../src/worker/runner.ts';
import { StopSource } from '../../src/worker/stop-source.ts';

export interface PoolSettings {
  /** Absolute path of the module with the handlers. */
  readonly module: string;
  readonly places?: number;
  /** Jobs that a thread gets at once, as if all had been tiny so far. */
  readonly together?: number;
  readonly patienceMs?: number;
  readonly threadMemoryMb?: number;
}

export interface Sent {
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
  readonly pool: Pool;
  /** What it logged as an error, parsed. */
  readonly log: Record<string, unknown>[];
  /** Gives all of them to the pool in one turn of the event loop. */
  send(...sent: readonly Sent[]): readonly SentRun[];
  /** Sends one; answers its result, or the end of a run without one. */
  run(type: string, input?: unknown, timeoutMs?: number): Promise<unknown>;
}

export async function startPool(settings: PoolSettings): Promise<TestPool> {
  const { module, places = 1, together = 1, patienceMs = 600_000, threadMemoryMb = 64 } = settings;
  const log: Record<string, unknown>[] = [];
  const write = (line: string): void => void log.push(JSON.parse(line) as Record<string, unknown>);
  const pool = createPool({
    settings: {
      tasks: { taskModules: [module], baseDir: tmpdir(), taskDurationMs: 10 },
      resultLimitBytes: 1_000_000,
      threadMemoryMb,
    },
    gate: createGate(places),
    ahead: { ...createAhead(places), together: () => together },
    onTold: () => undefined,
    log: pino({ level: 'error' }, { write }),
    patienceMs,
  });
  await pool.start();
  let latest = 0;

  function send(...sent: readonly Sent[]): readonly SentRun[] {
    return sent.map(({ type, input = {}, timeoutMs }) => {
      latest += 1;
      const stop = new StopSource();
      const job: Job = {
        queue: 'default',
        id: `01890000-0000-7000-8000-${String(latest).padStart(12, '0')}`,
        type,
        claim: 1,
        content: encodeContent(type, input, {}),
        attempt: 1,
        timeoutMs,
      };
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
  if (end.kind !== 'answered') return end.kind;
  if (end.answer.kind !== 'result') return end.answer.error.message;
  return end.answer.result.length === 0 ? undefined : (decode(end.answer.result) as unknown);
}
