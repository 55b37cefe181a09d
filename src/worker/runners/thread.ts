// One thread: how it starts, the jobs that it is sent, the messages that come from it, and how it ends.

import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import type { KillCause } from '../../protocol/task-error.ts';
import { ThreadChildren } from './child-processes.ts';
import { entryUrl, handlerEnv } from './entry.ts';
import { BatchStates, type JobBatch } from './job-batch.ts';
import type { HandlerReply, Job, Report, RunnerSettings, StopReason } from './runner.ts';
import type { ThreadStart } from './thread-entry.ts';
import { ThreadMemory } from './thread-memory.ts';
import {
  type Ended,
  isFromThread,
  type LeftBehind,
  type Output,
  type Request,
  type ToThread,
} from './thread-messages.ts';

/** Gets the messages of a thread about the jobs that it was sent. */
export interface ThreadUser {
  ended(message: Ended): void;
  report(report: Report): void;
  /** It gets the reply by `Thread.reply`. */
  request(request: Request): void;
  /** The thread is gone, after all messages that it had sent before. Called once. */
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

export interface ThreadEvents {
  loaded(thread: Thread): void;
  /** @param reason why it has not loaded, or has failed before it was sent a job; `undefined` when it was sent one */
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

export class Thread {
  /** Resolves when it has really ended, which may be after it counts as gone. */
  readonly exited: Promise<void>;
  readonly #events: ThreadEvents;
  readonly #port: MessagePort;
  readonly #worker: Worker;
  readonly #memory = new ThreadMemory();
  readonly #children = new ThreadChildren();
  #user: ThreadUser | undefined;
  #batch: JobBatch | undefined;
  #hasLoaded = false;
  #hasServed = false;
  /** Why it has not loaded, or what its modules have left behind. */
  #fault: string | undefined;
  #isLeftBehind = false;
  #endedAt: number | undefined;
  #isGone = false;
  #error: unknown;

  constructor(settings: RunnerSettings, events: ThreadEvents) {
    const { port1, port2 } = new MessageChannel();
    this.#events = events;
    this.#port = port1;
    this.#worker = startWorker({ settings, port: port2, memory: this.#memory.memory });
    this.exited = new Promise((resolve) => this.#worker.once('exit', () => resolve()));
    // Before 'exit': an error that was thrown, or that there is no memory left.
    this.#worker.on('error', (thrown) => {
      this.#error = thrown;
    });
    this.#worker.on('exit', (code) =>
      this.#leave(this.#error ?? new Error(`the thread exited with code ${code}`)),
    );
    this.#port.on('message', (message) => this.#take(message));
    // Its side is closed: it has ended, or nothing will come from it again.
    this.#port.on('close', () => {
      if (this.#hasLoaded) this.end();
    });
  }

  /** It was ended, or has closed its side, and will be gone soon; or it is gone. */
  get isEnding(): boolean {
    return this.#isGone || this.#endedAt !== undefined;
  }

  /** Gives it jobs. It must have loaded, and have no others. */
  send(batch: JobBatch, user: ThreadUser): void {
    this.#hasServed = true;
    this.#user = user;
    this.#batch = batch;
    const message: ToThread = { kind: 'run', ...batch };
    this.#port.postMessage(
      message,
      batch.jobs.flatMap(({ content }) =>
        content.length < TRANSFERRED_FROM_BYTES ? [] : [content.buffer as ArrayBuffer],
      ),
    );
  }

  /** Asks the handler of one run to end by itself. */
  ask(run: number, reason: StopReason): void {
    this.#port.postMessage({ kind: 'stop', run, reason } satisfies ToThread);
  }

  /** Replies to a request of a handler. */
  reply(number: number, reply: HandlerReply): void {
    this.#port.postMessage({ kind: 'reply', number, reply } satisfies ToThread);
  }

  /**
   * Ends the processes that a run has started and that are still there.
   * @param isUnderWay as `ThreadChildren.end` takes it
   * @returns resolves when they have ended; `undefined` when there are none
   */
  endChildren(run: number, isUnderWay: boolean): Promise<void> | undefined {
    return this.#children.end(run, isUnderWay);
  }

  /** Its jobs have ended. */
  forget(): void {
    this.#user = undefined;
    this.#batch = undefined;
  }

  /** Ends it, whatever it does. It must have loaded: Node aborts the whole process when a thread ends while it loads modules. */
  end(): void {
    if (this.#endedAt !== undefined || this.#isGone) return;
    this.#endedAt = performance.now();
    setTimeout(() => this.#leave(new Error('the thread does not end')), GONE_WITHIN_MS).unref();
    this.#worker.terminate().catch(() => undefined);
  }

  #take(message: unknown): void {
    if (this.#isGone || !isFromThread(message)) return;
    switch (message.kind) {
      case 'loaded':
        this.#hasLoaded = true;
        this.#children.proc = message.proc;
        this.#events.loaded(this);
        break;
      case 'not-loaded':
        this.#fault = message.reason;
        break;
      case 'left-behind':
        this.#isLeftBehind = true;
        this.#fault = message.error.message;
        this.end();
        this.#events.leftBehind(message);
        break;
      case 'ended':
        if (message.exits) {
          this.end();
          this.#reportLastProgress();
        }
        this.#user?.ended(message);
        break;
      case 'report':
        this.#user?.report(message.report);
        break;
      case 'request':
        this.#user?.request(message);
        break;
      case 'output':
        this.#events.output(message);
        break;
      case 'child':
        this.#children.add(message);
        break;
      case 'child-gone':
        this.#children.remove(message.pid);
        break;
    }
  }

  /** Of progress only a part comes by messages. */
  #reportLastProgress(): void {
    const last = this.#memory.progress();
    const job = last && this.#batch?.jobs[last.run - this.#batch.firstRun];
    if (!job) return;
    const { queue, id, claim } = job;
    const progress = { percent: last.percent, note: last.note };
    this.#user?.report({ queue, id, claim, progress, lines: [] });
  }

  /** The index of the job that it was at when it went; -1 without one. */
  #runningIndex(): number {
    if (!this.#batch) return -1;
    const states = new BatchStates(this.#batch.memory);
    return this.#batch.jobs.findIndex((_, index) => states.isRunning(index));
  }

  /** What it wrote to its streams before it went, and could not send any more. */
  #passLastOutput(by: Job | undefined): void {
    for (const line of this.#memory.rest().split('\n').filter(Boolean)) {
      this.#events.output({ kind: 'output', by, isLate: false, written: { stream: 'stdout', line } });
    }
  }

  #leave(exit: unknown): void {
    if (this.#isGone) return;
    // Messages that it sent before it went.
    for (let next = receiveMessageOnPort(this.#port); next; next = receiveMessageOnPort(this.#port)) {
      this.#take(next.message);
    }
    this.#isGone = true;
    this.#reportLastProgress();
    const index = this.#runningIndex();
    this.#passLastOutput(this.#batch?.jobs[index]);
    this.#children.proc = undefined;
    void this.#children.end(index < 0 ? Number.NaN : (this.#batch?.firstRun ?? 0) + index, false);
    this.#port.close();
    const latencyMs = this.#endedAt === undefined ? 0 : performance.now() - this.#endedAt;
    this.#user?.lost({ cause: causeOf(exit), error: exit, latencyMs, isLeftBehind: this.#isLeftBehind });
    this.#user = undefined;
    this.#events.gone(this, this.#hasServed ? undefined : (this.#fault ?? messageOf(exit)));
  }
}

function startWorker(start: ThreadStart): Worker {
  return new Worker(entryUrl('thread-entry'), {
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
