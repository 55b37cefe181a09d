// One thread: how it starts, what it is sent, what is heard from it, and how it ends.

import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';
import type { KillCause } from '../protocol/task-error.ts';
import { builtEntry } from './built-entry.ts';
import { type Bundle, BundleStates, type NumberedJob } from './bundle.ts';
import { handlerEnv } from './handler-env.ts';
import type { RunnerSettings, StopReason, Told } from './job.ts';
import type { ThreadStart } from './thread-entry.ts';
import { ThreadChildren } from './thread-children.ts';
import { ThreadMemory } from './thread-memory.ts';
import {
  type Answered,
  isFromThread,
  type LeftBehind,
  type Output,
  type ToThread,
} from './thread-messages.ts';

/** Who gets what a thread says of the jobs it was given. */
export interface ThreadUser {
  answered(message: Answered): void;
  told(told: Told): void;
  /** The thread is gone, and all was heard that it said before. Called once. */
  lost(lost: ThreadLost): void;
}

export interface ThreadLost {
  readonly cause: KillCause;
  readonly error: unknown;
  /** Milliseconds from `end` until it was gone; 0 when it went by itself. */
  readonly latencyMs: number;
  /** It went because of an error that a job before had left behind. */
  readonly isLeftBehind: boolean;
}

export interface Thread {
  /** Gives it jobs. It must have loaded, and have no others. */
  send(bundle: Bundle, user: ThreadUser): void;
  /** Asks the handler of one run to end by itself. */
  ask(run: number, reason: StopReason): void;
  /**
   * Ends the processes that a run has started and that are still there.
   * @returns resolves when they have ended; `undefined` when there are none
   */
  endChildren(run: number): Promise<void> | undefined;
  /** Its user is done with it. */
  free(): void;
  /** Ends it, whatever it does. It must have loaded: Node aborts the whole process when a thread ends while it loads modules. */
  end(): void;
  /** It was ended, or has closed its side, and will be gone soon. */
  isEnding(): boolean;
  /** Resolves when it is gone, or is taken for gone because a system call holds it. */
  readonly gone: Promise<void>;
  /** Resolves when it has really ended. */
  readonly exited: Promise<void>;
}

export interface ThreadEvents {
  loaded(thread: Thread): void;
  /** @param reason why it has not loaded; `undefined` when it had */
  gone(thread: Thread, reason: string | undefined): void;
  leftBehind(fault: LeftBehind): void;
  output(output: Output): void;
}

/** Handing a buffer over costs more than copying a small one once more. */
const TRANSFERRED_FROM_BYTES = 16_384;
/**
 * The default of Node 20. Node 24 has 192: then V8 may move more objects at once to a full heap than Node adds to end the
 * thread in order (16 MB), and aborts the whole process (docs/decisions/0016-threads-without-a-library.md).
 */
const YOUNG_GENERATION_MB = 48;
/** A thread that waits in the kernel may not end at once. It counts as gone after this time. */
const GONE_WITHIN_MS = 2_000;

export function startThread(settings: RunnerSettings, events: ThreadEvents): Thread {
  const { port1: port, port2 } = new MessageChannel();
  const memory = new ThreadMemory();
  const worker = startWorker({ settings, port: port2, memory: memory.memory });
  let user: ThreadUser | undefined;
  let bundle: Bundle | undefined;
  const children = new ThreadChildren();
  let hasLoaded = false;
  let isGone = false;
  let endedAt: number | undefined;
  let error: unknown;
  let isLeftBehind = false;
  let notLoaded: string | undefined;
  let sayGone = (): void => undefined;
  const gone = new Promise<void>((resolve) => {
    sayGone = resolve;
  });

  function hear(message: unknown): void {
    if (isGone || !isFromThread(message)) return;
    switch (message.kind) {
      case 'loaded':
        hasLoaded = true;
        children.proc = message.proc;
        events.loaded(thread);
        break;
      case 'not-loaded':
        notLoaded = message.reason;
        break;
      case 'left-behind':
        isLeftBehind = true;
        end();
        events.leftBehind(message);
        break;
      case 'answered':
        if (message.ends) {
          end();
          tellLastProgress();
        }
        user?.answered(message);
        break;
      case 'told':
        user?.told(message.told);
        break;
      case 'output':
        events.output(message);
        break;
      case 'child':
        children.add(message);
        break;
      case 'child-gone':
        children.remove(message.pid);
        break;
    }
  }

  /** Of progress only a part is told by messages. */
  function tellLastProgress(): void {
    const last = memory.progress();
    const job = bundle?.jobs.find(({ run }) => run === last?.run);
    if (!last || !job) return;
    const { queue, id, claim } = job;
    user?.told({ queue, id, claim, progress: { percent: last.percent, note: last.note }, lines: [] });
  }

  /** The job that it was at when it went. */
  function runningJob(): NumberedJob | undefined {
    const states = bundle && new BundleStates(bundle.memory);
    return bundle?.jobs.find((_, index) => states?.isRunning(index));
  }

  /** What it wrote to its streams before it went, and could not send any more. */
  function passLastOutput(): void {
    const by = runningJob();
    for (const line of memory.rest().split('\n').filter(Boolean)) {
      events.output({ kind: 'output', by, isLate: false, said: { stream: 'stdout', line } });
    }
  }

  function leave(exit: unknown): void {
    if (isGone) return;
    // What it said before it went.
    for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) hear(next.message);
    isGone = true;
    tellLastProgress();
    passLastOutput();
    children.proc = undefined;
    void children.end(runningJob()?.run ?? Number.NaN);
    port.close();
    const latencyMs = endedAt === undefined ? 0 : performance.now() - endedAt;
    user?.lost({ cause: causeOf(exit), error: exit, latencyMs, isLeftBehind });
    user = undefined;
    events.gone(thread, hasLoaded ? undefined : (notLoaded ?? messageOf(exit)));
    sayGone();
  }

  function end(): void {
    if (endedAt !== undefined || isGone) return;
    endedAt = performance.now();
    setTimeout(() => leave(new Error('the thread does not end')), GONE_WITHIN_MS).unref();
    worker.terminate().catch(() => undefined);
  }

  const thread: Thread = {
    send(nextBundle, nextUser) {
      user = nextUser;
      bundle = nextBundle;
      const message: ToThread = { kind: 'run', ...nextBundle };
      port.postMessage(
        message,
        nextBundle.jobs.flatMap(({ content }) =>
          content.length < TRANSFERRED_FROM_BYTES ? [] : [content.buffer as ArrayBuffer],
        ),
      );
    },
    endChildren: (run) => children.end(run),
    ask: (run, reason) => port.postMessage({ kind: 'stop', run, reason } satisfies ToThread),
    free() {
      user = undefined;
      bundle = undefined;
    },
    end,
    isEnding: () => endedAt !== undefined,
    gone,
    exited: new Promise((resolve) => worker.once('exit', () => resolve())),
  };

  // Before 'exit': an error that was thrown, or that there is no memory left.
  worker.on('error', (thrown) => {
    error = thrown;
  });
  worker.on('exit', (code) => leave(error ?? new Error(`the thread exited with code ${code}`)));
  port.on('message', hear);
  // Its side is closed: it has ended, or nothing will be heard of it again.
  port.on('close', () => {
    if (hasLoaded) end();
  });
  return thread;
}

function startWorker(start: ThreadStart): Worker {
  // A thread cannot load TypeScript on every supported Node, so the entry is always the built file.
  return new Worker(new URL(builtEntry('thread-entry')), {
    env: handlerEnv(),
    workerData: start,
    transferList: [start.port],
    resourceLimits: {
      maxOldGenerationSizeMb: start.settings.threadMemoryMb,
      maxYoungGenerationSizeMb: YOUNG_GENERATION_MB,
    },
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function causeOf(error: unknown): KillCause {
  return (error as { code?: unknown } | null)?.code === 'ERR_WORKER_OUT_OF_MEMORY'
    ? 'out-of-memory'
    : 'thread-exit';
}
