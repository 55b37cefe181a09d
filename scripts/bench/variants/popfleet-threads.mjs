// popfleet with handlers in threads, where a scenario shows it beside handlers on the main thread.

import { threaded } from '../fixtures/tasks.mjs';
import { timingOf } from './popfleet.mjs';

export const title = 'popfleet, threads';

export const scenarios = timingOf(threaded.type, { CONCURRENCY: '2' });
