// Scripts that lack what a model is about, to see that its checks find it.

import type { buildScripts } from '../../src/store/scripts.ts';
import { buildScriptsWithClock } from './model-clock.ts';

/** The scripts with one line of them changed. */
export function buildFlawed(from: string, to: string): typeof buildScripts {
  return (build) => {
    const scripts = buildScriptsWithClock(build);
    let changed = 0;
    const flawed = Object.entries(scripts).map(([name, source]) => {
      const lua = source.lua.replace(from, to);
      if (lua !== source.lua) changed += 1;
      return [name, { ...source, lua }];
    });
    if (changed === 0) throw new Error(`no script has the line ${from}`);
    return Object.fromEntries(flawed) as ReturnType<typeof buildScripts>;
  };
}
