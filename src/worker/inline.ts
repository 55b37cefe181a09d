// Runs tasks on the main thread: only for tiny ones, whose type says so. Nothing can end them but themselves.

import { AsyncLocalStorage } from 'node:async_hooks';
import { type Soon, whenThere } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import type { Registry } from '../tasks/registry.ts';
import { createInlineOutput } from './inline-output.ts';
import type { Answer, Job, StopReason, Told } from './job.ts';
import { runJob } from './run-job.ts';
import { type RunEnd, type Runner, STOP_GRACE_MS } from './runner.ts';
import { stopError, type StopSource } from './stop-source.ts';
import type { KeepProgress } from './voice.ts';

export interface Inline extends Runner {
  /** Leaves stdout and stderr to the process again. */
  stop(): void;
}

/** A run, as far as code that it leaves behind may keep it in memory. */
type InlineRun = Pick<Job, 'queue' | 'id' | 'type'>;

/** The run whose code executes, also in callbacks long after it has ended. */
const runs = new AsyncLocalStorage<InlineRun | undefined>();
/**
 * Following runs through their asynchronous parts costs next to nothing from Node 24 on. Before, it costs all promises of the
 * main thread so much that a tiny task takes a tenth longer.
 */
const IS_FOLLOWED = Number(process.versions.node.split('.', 1)[0]) >= 24;
/** All that have run here. */
const types = new Set<string>();

/**
 * Says whether an error that nothing caught comes from code that an inline task left behind, and logs it then: the program
 * goes on. Must be called while `uncaughtException` is handled: the answer is in the asynchronous context of the error.
 * Before Node 24 any error counts, once inline tasks have run, whose stack does not show that it is a fault of ours.
 */
export function isLeftByInlineTask(error: unknown, log: Log): boolean {
  const run = runs.getStore();
  if (!run && (IS_FOLLOWED || types.size === 0 || isOurs(error))) return false;
  const by = run ? { task: run.id, queue: run.queue, type: run.type } : { types: [...types] };
  log.error(
    { ...by, err: error },
    'an inline task has left code behind that failed where nothing could catch the error',
  );
  return true;
}

const OUR_FILES = new URL('..', import.meta.url).href;

/** Whether code of this package is in the stack, and none of a user's own files. */
function isOurs(error: unknown): boolean {
  const stack = error instanceof Error ? String(error.stack) : '';
  const frames = stack.split('\n').filter((line) => /^\s+at .*:\d+:\d+\)?$/.test(line));
  const ours = frames.filter((frame) => frame.includes(OUR_FILES));
  const users = frames.filter((frame) => !ours.includes(frame) && !/node:|\/node_modules\//.test(frame));
  return ours.length > 0 && users.length === 0;
}

/**
 * @param onTold what handlers tell while they run
 * @param log gets what they write to stdout and stderr
 */
export function createInline(
  registry: Registry,
  resultLimitBytes: number,
  onTold: (told: Told) => void,
  log: Log,
): Inline {
  const output = createInlineOutput(log);
  // Handlers call it. What it does is not their doing.
  const tell = IS_FOLLOWED ? (told: Told): void => runs.run(undefined, onTold, told) : onTold;

  return {
    run(job, stop) {
      const { queue, id, type, claim } = job;
      const run: InlineRun = { queue, id, type };
      const keep: KeepProgress = (percent, note) =>
        tell({ queue, id, claim, progress: { percent, note }, lines: [] });
      const signal = new LazySignal(stop, run);
      const handler = (): Soon<Answer> => runJob(registry, resultLimitBytes, job, signal, tell, keep);
      types.add(type);
      const answer = IS_FOLLOWED
        ? runs.run(run, output.run<Soon<Answer>>, job, handler)
        : output.run(job, handler);
      const ended: Soon<RunEnd> =
        answer instanceof Promise ? orGivenUp(answer, stop) : { kind: 'answered', answer, stop: undefined };
      return whenThere(ended, (end) => passOn(job, end));
    },

    stop: () => output.stop(),
  };

  function passOn(job: Job, ended: RunEnd): RunEnd {
    output.end(job);
    if (ended.kind === 'answered' && ended.answer.told) onTold(ended.answer.told);
    return ended;
  }
}

/** The handler's signal, made when it is asked for: most tiny handlers never do. */
class LazySignal {
  readonly #stop: StopSource;
  readonly #run: InlineRun;
  #controller: AbortController | undefined;

  constructor(stop: StopSource, run: InlineRun) {
    this.#stop = stop;
    this.#run = run;
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      const controller = new AbortController();
      this.#controller = controller;
      // The handler's listeners run in its context, so that their errors are its own.
      this.#stop.onStop((reason) => {
        if (IS_FOLLOWED) runs.run(this.#run, () => controller.abort(stopError(reason)));
        else controller.abort(stopError(reason));
      });
    }
    return this.#controller.signal;
  }
}

/** A handler that goes on although it was asked to stop is left alone after the grace; what it still does counts for nothing. */
function orGivenUp(answer: Promise<Answer>, stop: StopSource): Promise<RunEnd> {
  return new Promise((resolve, reject) => {
    let asked: { readonly reason: StopReason; readonly at: number } | undefined;
    let grace: NodeJS.Timeout | undefined;
    const off = stop.onStop((reason) => {
      asked = { reason, at: performance.now() };
      grace = setTimeout(
        () => resolve({ kind: 'killed', stop: { reason, latencyMs: STOP_GRACE_MS } }),
        STOP_GRACE_MS,
      );
    });
    answer.then((told) => {
      clearTimeout(grace);
      off();
      const ended = asked && { reason: asked.reason, latencyMs: performance.now() - asked.at };
      resolve({ kind: 'answered', answer: told, stop: ended });
    }, reject);
  });
}
