// popfleet with handlers in threads, where a scenario shows it beside handlers on the main thread.

import { threaded } from '../fixtures/tasks.mjs';
import { pickUp } from './popfleet.mjs';

export const title = 'popfleet, threads';

export const scenarios = {
  'pick-up': (bench) => pickUp(bench, threaded.type, { CONCURRENCY: '2' }),
};
