// Runs tasks in threads. As many threads work as there are places; tiny tasks go to a thread several at once (bundle.ts).

import type { Service } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import type { KillCause } from '../protocol/task-error.ts';
import type { Ahead } from './ahead.ts';
import { BundleStates, MOST_TOGETHER } from './bundle.ts';
import type { Gate } from './gate.ts';
import type { Answered, RunnerSettings, StopReason, Told } from './job.ts';
import { createPatience } from './patience.ts';
import { PoolRun, type SentBundle } from './pool-run.ts';
import { type RunEnd, type Runner, STOP_GRACE_MS } from './runner.ts';
import { createThreads } from './threads.ts';

export interface Pool extends Runner, Service {
  /** @throws PopfleetError `bad-definition` when the threads cannot load the task modules */
  start(): Promise<void>;
}

export interface PoolParts {
  readonly settings: Omit<RunnerSettings, 'stopChannel'>;
  /** A thread for each of its places. */
  readonly gate: Gate;
  readonly ahead: Ahead;
  /** Takes what handlers tell while they run. */
  readonly onTold: (told: Told) => void;
  readonly log: Log;
  /** How long a run may wait for those before it. */
  readonly patienceMs?: number;
}

/** What a lost thread said last may come after the news that it is lost. */
const LAST_WORDS_WITHIN_MS = 2_000;

export function createPool({ settings, gate, ahead, onTold, log, patienceMs }: PoolParts): Pool {
  const threads = createThreads(gate.places, settings, hear, log);
  let latest = 0;
  /** By number, until they end. */
  const runs = new Map<number, PoolRun>();
  /** Those that no thread has yet. */
  const waiting: PoolRun[] = [];
  /** Those that wait for others to end. */
  const patience = createPatience<PoolRun>(takeBack, patienceMs);
  let isAboutToSend = false;
  let isCalled = false;

  function hear(message: Answered | Told): void {
    if (!('run' in message)) {
      onTold(message);
      return;
    }
    const { answer, ranMs } = message;
    const run = runs.get(message.run);
    if (!run) return;
    if (answer.told) onTold(answer.told);
    const stop = run.asked && {
      reason: run.asked.reason,
      latencyMs: performance.now() - run.asked.at,
    };
    end(run, { kind: 'answered', answer, stop }, ranMs);
  }

  function end(run: PoolRun, ended: RunEnd, ranMs?: number): void {
    if (!runs.delete(run.number)) return;
    patience.end(run);
    if (run.sent) ahead.end(run.sent.run, ranMs);
    else waiting.splice(waiting.indexOf(run), 1);
    run.end(ended);
  }

  /** Takes a run back if it has not begun. */
  function takeBack(run: PoolRun): boolean {
    if (run.sent && !run.sent.bundle.states.withdraw(run.sent.index)) return false;
    end(run, { kind: 'not-begun' });
    return true;
  }

  /** When all runs of this turn have come: they are shared out among the threads. */
  function sendSoon(): void {
    if (isAboutToSend) return;
    isAboutToSend = true;
    queueMicrotask(() => {
      isAboutToSend = false;
      sendAll();
    });
  }

  function sendAll(): void {
    while (waiting.length > 0 && !isCalled) {
      if (gate.take(given)) void sendSome();
      else isCalled = true;
    }
  }

  function given(): void {
    isCalled = false;
    if (waiting.length === 0) gate.leave();
    else void sendSome();
    sendAll();
  }

  /** Gives a thread its share of what waits, for a place that was taken. */
  async function sendSome(): Promise<void> {
    const share = Math.ceil(waiting.length / (1 + gate.free()));
    const some = waiting.splice(0, Math.min(share, ahead.together(), MOST_TOGETHER));
    const bundle: SentBundle = {
      runs: some,
      states: new BundleStates(),
      kill: new AbortController(),
      killed: undefined,
    };
    const jobs = some.map((run, index) => {
      run.sendWith(bundle, index, ahead.begin());
      return run.toNumbered();
    });
    // The first one waits for nothing but its thread. If that is slow, so are those of other workers.
    const [first] = some;
    if (first) patience.end(first);
    try {
      await threads.run({ jobs, memory: bundle.states.memory }, bundle.kill);
    } catch (error) {
      await lost(bundle, error);
    } finally {
      gate.leave();
    }
  }

  function stopRun(run: PoolRun, reason: StopReason): void {
    if (takeBack(run)) return;
    threads.ask({ id: run.job.id, claim: run.job.claim, reason });
    const grace = setTimeout(() => killRun(run), STOP_GRACE_MS);
    run.asked = { reason, at: performance.now(), grace };
  }

  /** Ends the thread of a run, and no other run with it. */
  function killRun(run: PoolRun): void {
    if (!run.sent) return;
    const { bundle, index } = run.sent;
    for (const other of bundle.runs) if (other !== run && runs.has(other.number)) takeBack(other);
    // Nothing else can begin now. If it has ended meanwhile, its answer is on its way.
    if (bundle.killed || !bundle.states.isRunning(index)) return;
    bundle.killed = { run, goneMs: threads.end(bundle.kill) };
  }

  async function lost(bundle: SentBundle, error: unknown): Promise<void> {
    const { killed } = bundle;
    const latencyMs = (await killed?.goneMs) ?? 0;
    for (const run of bundle.runs) {
      if (!runs.has(run.number) || takeBack(run)) continue;
      const threadLost: RunEnd = { kind: 'thread-lost', cause: causeOf(error), error };
      if (killed?.run === run && run.asked) {
        end(run, { kind: 'killed', stop: { reason: run.asked.reason, latencyMs } });
      } else if (run.sent && bundle.states.isRunning(run.sent.index)) {
        end(run, threadLost);
      } else {
        setTimeout(() => end(run, threadLost), LAST_WORDS_WITHIN_MS);
      }
    }
  }

  return {
    start: () => threads.start(),

    run(job, stop) {
      if (stop.reason) return { kind: 'not-begun' };
      return new Promise((resolve) => {
        latest += 1;
        const run = new PoolRun(latest, job, stop, resolve, stopRun);
        runs.set(run.number, run);
        waiting.push(run);
        patience.begin(run);
        sendSoon();
      });
    },

    stop: () => threads.stop(),
  };
}

function causeOf(error: unknown): KillCause {
  return (error as { code?: unknown } | null)?.code === 'ERR_WORKER_OUT_OF_MEMORY'
    ? 'out-of-memory'
    : 'thread-exit';
}
