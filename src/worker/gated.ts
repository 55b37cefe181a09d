// A runner with a gate in front: a job runs when it has a place, and until its deadline.

import { whenThere, type Soon } from '../lifecycle.ts';
import type { Ahead } from './ahead.ts';
import type { Gate } from './gate.ts';
import type { Job } from './job.ts';
import type { RunEnd, Runner } from './runner.ts';
import type { StopSource } from './stop-source.ts';

export function createGated(runner: Runner, gate: Gate, ahead: Ahead): Runner {
  function begin(job: Job, stop: StopSource): Soon<RunEnd> {
    const begun = ahead.begin();
    const deadline =
      job.timeoutMs === undefined ? undefined : setTimeout(() => stop.stop('timed-out'), job.timeoutMs);
    return whenThere(runner.run(job, stop), (ended) => {
      clearTimeout(deadline);
      ahead.end(begun, performance.now() - begun.begunAt);
      gate.leave();
      return ended;
    });
  }

  return {
    run(job, stop) {
      const entered = gate.enter(stop);
      if (entered === true) return begin(job, stop);
      return entered.then((inTime) => (inTime ? begin(job, stop) : { kind: 'not-begun' }));
    },
  };
}
