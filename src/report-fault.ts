// Says why a program did not start.

import { PopfleetError } from './protocol/errors.ts';

/** `EX_CONFIG` of sysexits(3): a supervisor should not start the program again with the same settings. */
export const EXIT_CONFIG = 78;

/** Prints why a role did not start. @returns the exit code */
export function reportFault(fault: unknown): number {
  if (fault instanceof PopfleetError) {
    process.stderr.write(`${fault.message}\n`);
    // A port becomes free when the program that has it ends, so a supervisor may start the role again.
    const isPassing = (fault.cause as NodeJS.ErrnoException | undefined)?.code === 'EADDRINUSE';
    return isPassing ? 1 : EXIT_CONFIG;
  }
  process.stderr.write(`${fault instanceof Error ? fault.stack : String(fault)}\n`);
  return 1;
}
