// The task type "journal": writes into a file that it began and that it ended, so that a test can count its runs.

import { appendFileSync } from 'node:fs';
import * as v from 'valibot';
import { defineTask } from '../../dist/index.js';

export const journal = defineTask({
  type: 'journal',
  input: v.strictObject({ file: v.string(), ms: v.number() }),
  run({ file, ms }, { id, attempt }) {
    // Written at once, so that a kill cannot take it back.
    appendFileSync(file, `${id} ${attempt} began\n`);
    if (ms > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
    appendFileSync(file, `${id} ${attempt} ended\n`);
    return id;
  },
});
