// A role under a program that started it (`popfleet dev`, `popfleet fleet`): it says when it is up, and how much memory it has when it is
// asked, and ends with that program.

import { runRole } from './main.ts';

process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
process.on('message', () => process.send?.({ rssBytes: process.memoryUsage.rss() }));
process.exit(await runRole(process.env, (url) => process.send?.({ url })));
