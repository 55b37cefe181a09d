// Runs tasks in threads. As many threads work as there are places; tiny tasks go to a thread several at once (bundle.ts).

import type { Service } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import type { Ahead } from './ahead.ts';
import { MOST_TOGETHER } from './bundle.ts';
import type { Gate } from './gate.ts';
import type { RunnerSettings, StopReason, Told } from './job.ts';
import { createPatience } from './patience.ts';
import { PoolRun, SentBundle } from './pool-run.ts';
import { type RunEnd, type Runner, STOP_GRACE_MS } from './runner.ts';
import type { Thread, ThreadLost } from './thread.ts';
import type { Answered } from './thread-messages.ts';
import { createThreads } from './threads.ts';

export interface Pool extends Runner, Service {
  /** @throws PopfleetError `bad-definition` when the threads cannot load the task modules */
  start(): Promise<void>;
}

export interface PoolParts {
  readonly settings: RunnerSettings;
  /** A thread for each of its places. */
  readonly gate: Gate;
  readonly ahead: Ahead;
  /** Takes what handlers tell while they run. */
  readonly onTold: (told: Told) => void;
  readonly log: Log;
  /** How long a run may wait for those before it. */
  readonly patienceMs?: number;
}

/** While all threads load, tasks wait for this long, and go back then. */
const THREAD_WITHIN_MS = 10_000;
/** A thread that has nothing to do begins within a millisecond. One that needs longer than this is blocked. */
const BEGUN_WITHIN_MS = 5_000;

export function createPool({ settings, gate, ahead, onTold, log, patienceMs }: PoolParts): Pool {
  const threads = createThreads(gate.places, settings, log);
  let latest = 0;
  /** By number, until they end. */
  const runs = new Map<number, PoolRun>();
  /** Those that no thread has yet. */
  const waiting: PoolRun[] = [];
  /** Those that wait for others to end. */
  const patience = createPatience<PoolRun>(takeBack, patienceMs);
  const threadless = createPatience<SentBundle>(takeAllBack, THREAD_WITHIN_MS);
  const unbegun = createPatience<SentBundle>(endBlocked, BEGUN_WITHIN_MS);
  let isAboutToSend = false;
  let isCalled = false;

  function hear(bundle: SentBundle, { run: number, answer, ranMs }: Answered): void {
    const run = runs.get(number);
    if (run?.sent?.bundle !== bundle) return;
    if (answer.told) onTold(answer.told);
    if (bundle.isEndingChildrenOf(run)) return;
    // A handler that has finished may leave a process behind; one that was stopped may not.
    if (run.asked && answer.kind !== 'result') void bundle.thread?.endChildren(number);
    end(run, { kind: 'answered', answer, stop: run.stopped() }, ranMs);
  }

  function end(run: PoolRun, ended: RunEnd, ranMs?: number): void {
    if (!runs.delete(run.number)) return;
    patience.end(run);
    if (run.sent) {
      ahead.end(run.sent.run, ranMs);
      leave(run.sent.bundle);
    } else waiting.splice(waiting.indexOf(run), 1);
    run.end(ended);
  }

  /** One run of a bundle has ended; with the last one its thread is free. */
  function leave(bundle: SentBundle): void {
    bundle.open -= 1;
    if (bundle.open > 0) return;
    threadless.end(bundle);
    unbegun.end(bundle);
    if (bundle.thread) threads.free(bundle.thread);
    else bundle.unwish();
    gate.leave();
  }

  /** Takes a run back if it has not begun. */
  function takeBack(run: PoolRun): boolean {
    if (run.sent && !run.sent.bundle.states.withdraw(run.sent.index)) return false;
    end(run, { kind: 'not-begun' });
    return true;
  }

  function takeAllBack(bundle: SentBundle): void {
    for (const run of bundle.withdrawUnbegun()) end(run, { kind: 'not-begun' });
  }

  /** Something that an earlier task left behind keeps the thread from beginning, and would do so for ever. */
  function endBlocked(bundle: SentBundle): void {
    const taken = bundle.withdrawUnbegun();
    if (taken.length === 0) return;
    if (!bundle.hasBegun()) {
      log.error('a thread does not begin, because of what an earlier task left behind: it is replaced');
      bundle.thread?.end();
    }
    for (const run of taken) end(run, { kind: 'not-begun' });
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
      if (gate.take(given)) sendSome();
      else isCalled = true;
    }
  }

  function given(): void {
    isCalled = false;
    if (waiting.length === 0) gate.leave();
    else sendSome();
    sendAll();
  }

  /** Gives a thread its share of what waits, for a place that was taken. */
  function sendSome(): void {
    const share = Math.ceil(waiting.length / (1 + gate.free()));
    const some = waiting.splice(0, Math.min(share, ahead.together(), MOST_TOGETHER));
    const bundle = new SentBundle(some);
    for (const [index, run] of some.entries()) run.sendWith(bundle, index, ahead.begin());
    // The first one waits for nothing but its thread. If that is slow, so are those of other workers.
    const [first] = some;
    if (first) patience.end(first);
    threadless.begin(bundle);
    bundle.unwish = threads.take((thread) => give(bundle, thread));
  }

  function give(bundle: SentBundle, thread: Thread): void {
    bundle.thread = thread;
    threadless.end(bundle);
    unbegun.begin(bundle);
    thread.send(bundle.toBundle(), {
      answered: (message) => hear(bundle, message),
      told: onTold,
      lost: (lost) => loseAll(bundle, lost),
    });
  }

  function stopRun(run: PoolRun, reason: StopReason): void {
    if (takeBack(run)) return;
    run.sent?.bundle.thread?.ask(run.number, reason);
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
    bundle.kill(run);
  }

  function loseAll(bundle: SentBundle, lost: ThreadLost): void {
    for (const run of bundle.runs) {
      if (runs.has(run.number) && !takeBack(run)) end(run, endOf(run, bundle, lost));
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

/** How a run has ended whose thread is gone. */
function endOf(run: PoolRun, { killed }: SentBundle, lost: ThreadLost): RunEnd {
  const { asked } = run;
  if (asked && killed === run) {
    return { kind: 'killed', stop: { reason: asked.reason, latencyMs: lost.latencyMs } };
  }
  // It had to end anyway, and did so on its own in the time that it was given for that.
  if (asked && asked.reason !== 'timed-out') {
    return { kind: 'killed', stop: { reason: asked.reason, latencyMs: performance.now() - asked.at } };
  }
  if (lost.isLeftBehind) return { kind: 'displaced' };
  return { kind: 'thread-lost', cause: lost.cause, error: lost.error };
}
