// The processes that the code of one thread has started.

import { delay } from '../../lifecycle.ts';
import { childrenOfThread, endProcesses, type ProcessMark } from './child-processes.ts';
import type { Child } from './thread-messages.ts';

/** A thread that never yields takes no notice of the end of a process. */
const REAPED_WITHIN_MS = 200;
const REAPED_LOOK_MS = 5;

export class ThreadChildren {
  /** Where the children of the thread stand below `/proc`, while it is there. */
  proc: string | undefined;
  /** Those that have not ended, by their number. */
  readonly #known = new Map<number, Child>();

  add(child: Child): void {
    this.#known.set(child.mark.pid, child);
  }

  remove(pid: number): void {
    this.#known.delete(pid);
  }

  /**
   * Ends the processes that a run has started and that are still there.
   * @returns resolves when they have ended; `undefined` when there are none
   */
  end(run: number): Promise<void> | undefined {
    const marks = [...this.#known.values()].filter((child) => child.run === run).map(({ mark }) => mark);
    // `spawnSync` and its like are not seen by the thread, which stands still meanwhile.
    const others = this.proc === undefined ? [] : childrenOfThread(this.proc);
    const unseen = others.filter(({ pid }) => !this.#known.has(pid));
    return marks.length + unseen.length === 0 ? undefined : this.#endAndReap(marks, unseen);
  }

  /** Only the thread can take notice of the end of a process, which stays as a zombie until then. */
  async #endAndReap(marks: readonly ProcessMark[], unseen: readonly ProcessMark[]): Promise<void> {
    await endProcesses([...marks, ...unseen]);
    const deadline = performance.now() + REAPED_WITHIN_MS;
    const isHeld = ({ pid }: ProcessMark): boolean => this.#known.has(pid);
    while (this.proc !== undefined && marks.some(isHeld) && performance.now() < deadline) {
      await delay(REAPED_LOOK_MS);
    }
  }
}
