// Notices which processes the code of this thread starts.

import { ChildProcess } from 'node:child_process';
import { markOf, type ProcessMark } from './child-processes.ts';

/** All functions of `node:child_process` that do not block start their processes with this method. */
type Spawn = (this: ChildProcess, options: unknown) => unknown;

/**
 * @param started called when a process has started, before anything else can happen to it
 * @param gone called when it has ended and its number is free for others
 */
export function watchChildren(started: (mark: ProcessMark) => void, gone: (pid: number) => void): void {
  const prototype = ChildProcess.prototype as unknown as { spawn: Spawn };
  const { spawn } = prototype;
  prototype.spawn = function spawnWatched(options) {
    const answer = spawn.call(this, options);
    const { pid } = this;
    if (pid !== undefined) {
      started(markOf(pid));
      this.once('exit', () => gone(pid));
    }
    return answer;
  };
}
