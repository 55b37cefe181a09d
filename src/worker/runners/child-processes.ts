// Processes that a handler has started: which they are, and how they are ended with all that they have started in turn.
// Start times keep a process from being mistaken for another one that got its number later. They are known on Linux; elsewhere
// the number alone has to do, and descendants are not found.

import { ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { delay } from '../../lifecycle.ts';

export interface ProcessMark {
  readonly pid: number;
  /** Clock ticks since the boot of the machine (proc(5), `/proc/<pid>/stat`). */
  readonly startTime: string | undefined;
}

/** A process that code of a run has started. */
export interface Child {
  readonly kind: 'child';
  /** 0: it belongs to no run, but to a task module. */
  readonly run: number;
  readonly mark: ProcessMark;
}

/** Between SIGTERM and SIGKILL. */
const GRACE_MS = 200;
const LOOK_AGAIN_MS = 10;
/** A thread that never yields takes no notice of the end of a process. */
const REAPED_WITHIN_MS = 200;
const REAPED_LOOK_MS = 5;
/** So many levels and processes below one another are looked for. */
const MOST_DESCENDANTS = 1_000;

/** The mark of a process that runs now. */
function markOf(pid: number): ProcessMark {
  return { pid, startTime: readStat(pid)?.startTime };
}

/** Processes that one thread of this process has started and that are not gone; none on systems whose `/proc` has no such list. */
function childrenOfThread(threadPath: string): readonly ProcessMark[] {
  return readChildren(`/proc/${threadPath}/children`).map(markOf);
}

/** All processes below one, those nearest to it first. */
export function descendantsOf(pid: number): readonly ProcessMark[] {
  const found: ProcessMark[] = [];
  const parents = [pid];
  for (let parent = parents.shift(); parent !== undefined; parent = parents.shift()) {
    for (const child of readThreads(parent).flatMap(readChildren)) {
      if (found.length >= MOST_DESCENDANTS) return found;
      found.push(markOf(child));
      parents.push(child);
    }
  }
  return found;
}

/**
 * Ends processes and all below them: asks with SIGTERM, and ends with SIGKILL what is left after 200 ms. Resolves when they
 * have ended, or were sent SIGKILL. Never rejects.
 */
export async function endProcesses(marks: readonly ProcessMark[]): Promise<void> {
  // Parents first, so that none of them starts the next one in place of a child that has ended.
  const all = withDescendants(marks.filter(isRunning));
  for (const one of all) send(one, 'SIGTERM');
  const deadline = performance.now() + GRACE_MS;
  while (all.some(isRunning) && performance.now() < deadline) await delay(LOOK_AGAIN_MS);
  for (const one of withDescendants(all.filter(isRunning))) send(one, 'SIGKILL');
}

function withDescendants(marks: readonly ProcessMark[]): readonly ProcessMark[] {
  const byPid = new Map(marks.map((mark) => [mark.pid, mark]));
  for (const { pid } of marks) for (const mark of descendantsOf(pid)) byPid.set(mark.pid, mark);
  return [...byPid.values()];
}

function send(mark: ProcessMark, signal: NodeJS.Signals): void {
  if (!isRunning(mark)) return;
  try {
    process.kill(mark.pid, signal);
  } catch {
    // It has just ended.
  }
}

function isRunning({ pid, startTime }: ProcessMark): boolean {
  if (startTime !== undefined) {
    const stat = readStat(pid);
    return stat !== undefined && stat.startTime === startTime && stat.state !== 'Z';
  }
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function readStat(pid: number): { readonly state: string; readonly startTime: string } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name of the program stands in parentheses, and may have blanks and parentheses. Fields 3 and 22 are meant.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const [state, startTime] = [fields[0], fields[19]];
    return state === undefined || startTime === undefined ? undefined : { state, startTime };
  } catch {
    return undefined;
  }
}

function readThreads(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map((thread) => `/proc/${pid}/task/${thread}/children`);
  } catch {
    return [];
  }
}

function readChildren(path: string): readonly number[] {
  try {
    return readFileSync(path, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** All functions of `node:child_process` that do not block start their processes with this method. */
type Spawn = (this: ChildProcess, options: unknown) => unknown;

/**
 * Notices which processes the code of this thread starts.
 * @param started called when a process has started, before anything else can happen to it
 * @param gone called when it has ended and its number is free for others
 */
export function watchChildren(started: (mark: ProcessMark) => void, gone: (pid: number) => void): void {
  const prototype = ChildProcess.prototype as unknown as { spawn: Spawn };
  const { spawn } = prototype;
  prototype.spawn = function spawnWatched(options) {
    const fault = spawn.call(this, options);
    const { pid } = this;
    if (pid !== undefined) {
      started(markOf(pid));
      this.once('exit', () => gone(pid));
    }
    return fault;
  };
}

/** The processes that the code of one thread has started. */
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
   * @param isUnderWay it has not ended: what its thread has not told of is its own, too. Else that is of the run behind it
   * @returns resolves when they have ended; `undefined` when there are none
   */
  end(run: number, isUnderWay: boolean): Promise<void> | undefined {
    const marks = [...this.#known.values()].filter((child) => child.run === run).map(({ mark }) => mark);
    // `spawnSync` and its like are not seen by the thread, which stands still meanwhile.
    const others = this.proc === undefined || !isUnderWay ? [] : childrenOfThread(this.proc);
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
