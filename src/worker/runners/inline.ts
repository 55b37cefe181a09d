// Runs tasks on the main thread: only for tiny ones, whose type says so. Nothing can end them but themselves.

import { type Service, type Soon, whenThere } from '../../lifecycle.ts';
import type { Log } from '../../log.ts';
import type { Registry } from '../../tasks/registry.ts';
import { ALWAYS_FOLLOWED, createInlineOutput, inlineRuns, type InlineOutput } from './inline-output.ts';
import type { OutputOwner } from './output-log.ts';
import { type HandlerSide, runHandler } from './run-handler.ts';
import {
  type HandlerEnd,
  type HandlerLink,
  type Report,
  type RunEnd,
  type Runner,
  STOP_GRACE_MS,
  stopError,
  StopGrace,
  type StopSource,
  withStop,
} from './runner.ts';

/** All that have run here. */
const types = new Set<string>();

/**
 * Says whether an error that nothing caught comes from code that an inline task left behind, and logs it then: the program
 * goes on. Must be called while `uncaughtException` is handled: the answer is in the asynchronous context of the error.
 * Before Node 24 any error counts, once inline tasks have run, whose stack does not show that it is a fault of ours.
 */
export function isLeftByInlineTask(error: unknown, log: Log): boolean {
  const run = inlineRuns.getStore();
  if (!run && (ALWAYS_FOLLOWED || types.size === 0 || isOurs(error))) return false;
  const by = run ? { task: run.id, queue: run.queue, type: run.type } : { types: [...types] };
  log.error(
    { ...by, err: error },
    'an inline task has left code behind that failed where nothing could catch the error',
  );
  return true;
}

const OUR_FILES = new URL('../..', import.meta.url).href;

/** Whether code of this package is in the stack, and none of a user's own files. */
function isOurs(error: unknown): boolean {
  const stack = error instanceof Error ? String(error.stack) : '';
  const frames = stack.split('\n').filter((line) => /^\s+at .*:\d+:\d+\)?$/.test(line));
  const ours = frames.filter((frame) => frame.includes(OUR_FILES));
  const users = frames.filter((frame) => !ours.includes(frame) && !/node:|\/node_modules\//.test(frame));
  return ours.length > 0 && users.length === 0;
}

/**
 * @param link takes what handlers say while they run
 * @param log gets what they write to stdout and stderr
 */
export function createInline(
  registry: Registry,
  resultLimitBytes: number,
  link: HandlerLink,
  log: Log,
): Runner & Service {
  const output = createInlineOutput(log);
  // Handlers call it. What it does is not their doing.
  const send = (report: Report): void => output.runPart(undefined, () => link.report(report));

  return {
    async start() {
      output.start();
    },

    run(job, stop) {
      const { queue, id, type, claim } = job;
      const run: OutputOwner = { queue, id, type };
      const side: HandlerSide = {
        source: new LazySignal(stop, run, output),
        send,
        keep: (percent, note) => send({ queue, id, claim, progress: { percent, note }, lines: [] }),
        request: (request) => output.runPart(undefined, () => link.request(job, request)),
      };
      types.add(type);
      const running = output.run(run, () => runHandler(registry, resultLimitBytes, job, side));
      const ended: Soon<RunEnd> = running instanceof Promise ? orGivenUp(running, stop) : running;
      return whenThere(ended, (end) => {
        output.end(run);
        if ('report' in end && end.report) link.report(end.report);
        return end;
      });
    },

    async stop() {
      output.stop();
    },
  };
}

/** The handler's signal, made when it is asked for: most tiny handlers never do. */
class LazySignal {
  readonly #stop: StopSource;
  readonly #run: OutputOwner;
  readonly #output: InlineOutput;
  #controller: AbortController | undefined;

  constructor(stop: StopSource, run: OutputOwner, output: InlineOutput) {
    this.#stop = stop;
    this.#run = run;
    this.#output = output;
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      const controller = new AbortController();
      this.#controller = controller;
      // The handler's listeners run in its context, so that their errors are its own.
      this.#stop.onStop((reason) =>
        this.#output.runPart(this.#run, () => controller.abort(stopError(reason))),
      );
    }
    return this.#controller.signal;
  }
}

/** A handler that goes on although it was asked to stop is left alone after the grace; what it still does counts for nothing. */
function orGivenUp(running: Promise<HandlerEnd>, stop: StopSource): Promise<RunEnd> {
  return new Promise((resolve, reject) => {
    const grace = new StopGrace(stop, {
      ask: () => undefined,
      force: (reason) => resolve({ kind: 'killed', stop: { reason, latencyMs: STOP_GRACE_MS } }),
    });
    running.then((end) => resolve(withStop(end, grace.end())), reject);
  });
}
