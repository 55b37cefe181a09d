// A role under `popfleet dev`: it says when it is up, and ends with the program that started it.

import { runRole } from '../main.ts';

process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
process.exit(await runRole(process.env, (url) => process.send?.({ url })));
