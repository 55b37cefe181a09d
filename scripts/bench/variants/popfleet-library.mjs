// popfleet without HTTP, where a scenario shows what HTTP adds: batches of the library, in the process that has the tasks.

import { scenarios as popfleet } from './popfleet.mjs';

export const title = 'popfleet, the library';

export const scenarios = { 'http-batch': popfleet['enqueue-bulk'] };
