// Runs tasks on the main thread: only for tiny ones, whose type says so. Nothing can end them but themselves.

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

  return {
    run(job, stop) {
      const { queue, id, claim } = job;
      const keep: KeepProgress = (percent, note) =>
        onTold({ queue, id, claim, progress: { percent, note }, lines: [] });
      const answer = output.run(job, () =>
        runJob(registry, resultLimitBytes, job, new LazySignal(stop), onTold, keep),
      );
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
  #controller: AbortController | undefined;

  constructor(stop: StopSource) {
    this.#stop = stop;
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      const controller = new AbortController();
      this.#controller = controller;
      this.#stop.onStop((reason) => controller.abort(stopError(reason)));
    }
    return this.#controller.signal;
  }
}

/** A handler that goes on although it was asked to stop is left alone after the grace; what it still does counts for nothing. */
function orGivenUp(answer: Promise<Answer>, stop: StopSource): Promise<RunEnd> {
  return new Promise((resolve) => {
    let asked: { readonly reason: StopReason; readonly at: number } | undefined;
    let grace: NodeJS.Timeout | undefined;
    const off = stop.onStop((reason) => {
      asked = { reason, at: performance.now() };
      grace = setTimeout(
        () => resolve({ kind: 'killed', stop: { reason, latencyMs: STOP_GRACE_MS } }),
        STOP_GRACE_MS,
      );
    });
    void answer.then((told) => {
      clearTimeout(grace);
      off();
      const ended = asked && { reason: asked.reason, latencyMs: performance.now() - asked.at };
      resolve({ kind: 'answered', answer: told, stop: ended });
    });
  });
}
