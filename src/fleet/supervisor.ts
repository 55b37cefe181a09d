// Keeps as many worker processes alive as are wanted: starts those that are missing, ends those that are too many, and replaces others
// one after the other, each when its successor is up.

import { createSerial, delay, retryDelayMs } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import type { RoleProcess } from '../role-process.ts';

export interface SupervisorDeps {
  /** @param slot a number that no other living process has, from 0 */
  readonly start: (slot: number) => RoleProcess;
  readonly log: Log;
  /** Called when a process could not be started, and none has ever come up. */
  readonly onUseless: (exitCode: number | null) => void;
  /** Bytes of memory with which a process is replaced. */
  readonly memoryBytes: number;
  /** Milliseconds before the first of several starts that fail in a row, at most. */
  readonly restartFirstMs?: number;
  /** Milliseconds within which a successor has to be up. */
  readonly upWithinMs?: number;
}

const RESTART_FIRST_MS = 1_000;
const RESTART_CAP_MS = 30_000;
/** What has been up for so long has not failed at its start. */
const STEADY_MS = 30_000;
/** A successor whose task modules have not loaded by then hangs, and is given up. */
const UP_WITHIN_MS = 300_000;

export class Supervisor {
  readonly #deps: SupervisorDeps;
  readonly #oneAtATime = createSerial();
  readonly #stopping = new AbortController();
  /** All that live, by their slots. */
  readonly #alive = new Map<RoleProcess, number>();
  /** Those of them that shall stay. */
  readonly #staying = new Set<RoleProcess>();
  /** Those that have come up. */
  readonly #up = new Set<RoleProcess>();
  #wanted = 0;
  /** Places of processes that have ended by themselves, and are started again in a moment. */
  #awaited = 0;
  #failures = 0;
  #hasBeenUp = false;

  constructor(deps: SupervisorDeps) {
    this.#deps = deps;
  }

  /** How many there are, without those that are on their way out. */
  count(): number {
    return this.#staying.size;
  }

  /** Says how many there shall be. */
  want(count: number): void {
    this.#wanted = count;
    this.#reconcile();
  }

  /** Replaces all of them, one after the other. Resolves once it is done. */
  roll(): Promise<void> {
    return this.#oneAtATime(async () => {
      const before = [...this.#staying];
      for (const one of before) {
        if (await this.#replace(one)) continue;
        if (!this.#isStopping()) this.#deps.log.error('a new worker does not start: those before go on');
        return;
      }
    });
  }

  /** Replaces those that have too much memory, one after the other. */
  checkMemory(): Promise<void> {
    return this.#oneAtATime(async () => {
      // One that is not up has no say yet, and may never have.
      const before = [...this.#staying].filter((one) => this.#up.has(one));
      for (const one of before) {
        const rssBytes = (await one.rssBytes()) ?? 0;
        if (rssBytes <= this.#deps.memoryBytes) continue;
        this.#deps.log.warn({ pid: one.pid, rssBytes }, 'a worker has too much memory and is replaced');
        await this.#replace(one);
      }
    });
  }

  /** Asks all of them to end in order, once more to give back at once what runs. Resolves once all have ended. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const one of this.#alive.keys()) one.stop();
    await Promise.all(Array.from(this.#alive.keys(), ({ ended }) => ended));
  }

  /** Ends whatever is left. */
  kill(): void {
    for (const one of this.#alive.keys()) one.kill();
  }

  #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  #start(): RoleProcess {
    const taken = new Set(this.#alive.values());
    let slot = 0;
    while (taken.has(slot)) slot += 1;
    const one = this.#deps.start(slot);
    this.#alive.set(one, slot);
    void one.up.then((up) => ('url' in up ? this.#noteUp(one) : undefined));
    void one.ended.then((code) => {
      this.#alive.delete(one);
      this.#up.delete(one);
      if (this.#staying.delete(one) && !this.#isStopping()) void this.#restart(one, code);
    });
    return one;
  }

  async #noteUp(one: RoleProcess): Promise<void> {
    this.#hasBeenUp = true;
    this.#up.add(one);
    await delay(STEADY_MS, this.#stopping.signal);
    if (this.#alive.has(one)) this.#failures = 0;
  }

  async #restart({ pid }: RoleProcess, code: number | null): Promise<void> {
    const { log, onUseless, restartFirstMs = RESTART_FIRST_MS } = this.#deps;
    if (!this.#hasBeenUp) onUseless(code);
    this.#failures += 1;
    this.#awaited += 1;
    const waitMs = retryDelayMs(this.#failures, restartFirstMs, RESTART_CAP_MS);
    log.error({ pid, code, waitMs }, 'a worker has ended by itself and is started again');
    await delay(waitMs, this.#stopping.signal);
    this.#awaited -= 1;
    this.#reconcile();
  }

  #leave(one: RoleProcess): void {
    this.#staying.delete(one);
    one.stop();
  }

  #reconcile(): void {
    if (this.#isStopping()) return;
    while (this.#staying.size + this.#awaited < this.#wanted) this.#staying.add(this.#start());
    // What a worker holds may take longer than it has to end: those that hold nothing go first. Of these the newest, as the others have
    // loaded more of what they need.
    const newestFirst = [...this.#staying].toReversed();
    const inTurn = newestFirst.toSorted((one, other) => Number(one.isBusy()) - Number(other.isBusy()));
    const tooMany = Math.max(0, inTurn.length - this.#wanted);
    for (const one of inTurn.slice(0, tooMany)) this.#leave(one);
  }

  /** @returns false when its successor does not start */
  async #replace(one: RoleProcess): Promise<boolean> {
    if (!this.#staying.has(one) || this.#isStopping()) return true;
    const next = this.#start();
    const limit = setTimeout(() => next.kill(), this.#deps.upWithinMs ?? UP_WITHIN_MS);
    const up = await next.up;
    clearTimeout(limit);
    if ('exitCode' in up) return false;
    if (this.#isStopping()) return true;
    if (this.#staying.has(one)) this.#leave(one);
    this.#staying.add(next);
    this.#reconcile();
    await one.ended;
    return true;
  }
}
