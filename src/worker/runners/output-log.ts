// Lines that handlers have written to stdout and stderr, as entries of the program's log.

import type { Log } from '../../log.ts';
import type { Written } from './output.ts';

/** The run whose code has written. */
export interface OutputOwner {
  readonly queue: string;
  readonly id: string;
  readonly type: string;
}

/**
 * @param owner `undefined`: code of a task module that belongs to no run
 * @param isLate the run has ended, and its code writes all the same
 */
export function createOutputLog(
  log: Log,
  owner: OutputOwner | undefined,
  isLate: boolean,
): (written: Written) => void {
  const fields = {
    ...(owner && { task: owner.id, queue: owner.queue, type: owner.type }),
    ...(isLate && { late: true }),
  };
  return (written) => {
    if ('dropped' in written) {
      const lines = written.dropped;
      log.warn({ ...fields, lines }, 'a handler writes too much: lines were dropped');
    } else
      log[written.stream === 'stderr' ? 'warn' : 'info']({ ...fields, stream: written.stream }, written.line);
  };
}
