// Scripts that lack what a model is about, to see that its checks find it.

import type { buildScripts } from '../../src/store/scripts.ts';
import { buildScriptsWithClock } from './model-clock.ts';

/** A text as a built script has it: where the file has `Q.ENDS`, its key stands. */
function withKeys(text: string, keys: readonly string[]): string {
  return text.replaceAll(/\bQ\.([A-Z_]+)\b/g, (mention, name: string) => {
    const at = keys.indexOf(name.toLowerCase().replaceAll('_', '-'));
    return at < 0 ? mention : `KEYS[${at + 1}]`;
  });
}

/** The scripts with one line of them changed. @param from as the file of the script writes it */
export function buildFlawed(from: string, to: string): typeof buildScripts {
  return (build) => {
    const scripts = buildScriptsWithClock(build);
    let changed = 0;
    const flawed = Object.entries(scripts).map(([name, source]) => {
      const lua = source.lua.replace(withKeys(from, source.keys), withKeys(to, source.keys));
      if (lua !== source.lua) changed += 1;
      return [name, { ...source, lua }];
    });
    if (changed === 0) throw new Error(`no script has the line ${from}`);
    return Object.fromEntries(flawed) as ReturnType<typeof buildScripts>;
  };
}
