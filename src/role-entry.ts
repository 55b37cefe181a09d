// A role under a program that started it (`popfleet dev`, `popfleet fleet`): it says when it is up, whether it holds tasks, and how much
// memory it has when it is asked, and ends with that program.

import { runRole } from './main.ts';
import type { Told } from './role-process.ts';

/** Milliseconds. What is over sooner is not worth a word, and a worker that is idle between tiny tasks says nothing of it. */
const BUSY_TELLS_AFTER_MS = 100;

process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
process.on('message', () => tell({ rssBytes: process.memoryUsage.rss() }));
process.exit(await runRole(process.env, (url) => tell({ up: { url } }), createBusyTeller()));

/** That program may be gone. */
function tell(told: Told): void {
  process.send?.(told, () => undefined);
}

function createBusyTeller(): (isBusy: boolean) => void {
  let now = false;
  let told = false;
  let timer: NodeJS.Timeout | undefined;
  return (isBusy) => {
    now = isBusy;
    if (now === told) return;
    timer ??= setTimeout(() => {
      timer = undefined;
      if (now !== told) tell({ isBusy: now });
      told = now;
    }, BUSY_TELLS_AFTER_MS).unref();
  };
}
