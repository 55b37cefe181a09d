// The garbage collector of this process, when a test wants it to run.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
setFlagsFromString('--no-expose-gc');

/** Collects everything that nothing holds any longer. */
export function collectGarbage(): void {
  collect();
}

/** Bytes of the heap that are held. */
export function heldBytes(): number {
  collect();
  return process.memoryUsage().heapUsed;
}
