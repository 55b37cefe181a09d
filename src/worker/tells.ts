// What threads told of their tasks comes on another port than their answers, so it may come later: an answer waits for it,
// because what is told counts only while the task runs.

import type { Job, Told } from './job.ts';

type Run = Pick<Job, 'id' | 'claim'>;

export interface Tells {
  /** What is told of the run counts from now on, until `forget`. */
  begin(run: Run): void;
  add(told: Told): void;
  /** Resolves once so many were added for the run; at once when they were. */
  whenHeard(run: Run, count: number): Promise<void> | undefined;
  forget(run: Run): void;
}

export function createTells(): Tells {
  const heard = new Map<string, { count: number; added: () => void }>();
  const keyOf = ({ id, claim }: Run): string => `${id} ${claim}`;

  return {
    begin(run) {
      heard.set(keyOf(run), { count: 0, added: () => undefined });
    },

    add(told) {
      const one = heard.get(keyOf(told));
      if (!one) return;
      one.count += 1;
      one.added();
    },

    whenHeard(run, count) {
      const one = heard.get(keyOf(run));
      if (!one || one.count >= count) return undefined;
      return new Promise((resolve) => {
        one.added = () => {
          if (one.count >= count) resolve();
        };
      });
    },

    forget(run) {
      heard.delete(keyOf(run));
    },
  };
}
