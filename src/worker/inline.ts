// Runs tasks on the main thread: only for tiny ones, whose type says so. Nothing can end them but themselves.

import { type Soon, whenThere } from '../lifecycle.ts';
import type { Registry } from '../tasks/registry.ts';
import type { Answer, StopReason, Told } from './job.ts';
import { runJob } from './run-job.ts';
import { type RunEnd, type Runner, STOP_GRACE_MS } from './runner.ts';
import { stopError, type StopSource } from './stop-source.ts';

/** @param onTold what handlers tell while they run */
export function createInline(
  registry: Registry,
  resultLimitBytes: number,
  onTold: (told: Told) => void,
): Runner {
  return {
    run(job, stop) {
      const answer = runJob(registry, resultLimitBytes, job, new LazySignal(stop), onTold);
      const ended: Soon<RunEnd> =
        answer instanceof Promise ? orGivenUp(answer, stop) : { kind: 'answered', answer, stop: undefined };
      return whenThere(ended, passOn);
    },
  };

  function passOn(ended: RunEnd): RunEnd {
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
