// What a role, `--version`, or a thread of a handler does not need is not loaded with it.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

/** Files that are loaded with one, by its imports and those of what it imports. */
function loadedWith(file: URL, seen = new Set<string>()): Set<string> {
  const path = fileURLToPath(file);
  if (seen.has(path)) return seen;
  seen.add(path);
  for (const [, from = ''] of readFileSync(file, 'utf8').matchAll(
    /^(?:import|export)\s(?!type)[^;]*?from '(\.[^']+)';/gms,
  )) {
    loadedWith(new URL(from, file), seen);
  }
  return seen;
}

const SRC = new URL('../../src/', import.meta.url);
const names = (entry: string): string[] =>
  [...loadedWith(new URL(entry, SRC))].map((path) => path.slice(fileURLToPath(SRC).length));

test('the command line loads neither the client nor what a noun does, and a role not even the command line', () => {
  const withCommandLine = names('command-line.ts');
  expect(withCommandLine).toContain('commands/nouns.ts');
  expect(
    withCommandLine.filter((name) => /^client\/|^commands\/(?:verb|task|status|doctor)\b/.test(name)),
  ).toEqual([]);
  expect(names('cli.ts').filter((name) => /^commands?|^client/.test(name))).toEqual([]);
});

test.each(['status', 'queue', 'task', 'dead', 'operate'])('%s loads a bar only when it shows one', (name) => {
  expect(names(`commands/${name}.ts`).filter((file) => file.endsWith('progress.ts'))).toEqual([]);
});

// Each of them would load the client of Redis too: a quarter of a second at every start of a thread.
test.each(['thread-entry', 'process-entry', 'process-watch'])('%s loads nothing of Redis', (name) => {
  const loaded = names(`worker/runners/${name}.ts`);
  expect(loaded.length).toBeGreaterThan(1);
  expect(loaded.filter((file) => file.startsWith('store/'))).toEqual([]);
});
