// One word a thing: names that the glossary rules out stand in no file name and in no exported name.

import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const root = new URL('../../', import.meta.url);
const architecture = readFileSync(new URL('docs/architecture.md', root), 'utf8');
const glossary = /## Glossary\n(?<rows>[\s\S]*?)\n## /.exec(architecture)?.groups?.['rows'] ?? '';
const rows = glossary.split('\n').filter((line) => line.startsWith('| ') && !/^\| (?:word|---) /.test(line));
const ruledOut = rows.flatMap((row) =>
  Array.from(
    row
      .split('|')
      .at(-2)
      ?.matchAll(/`(\w+)`/g) ?? [],
    ([, name = '']) => name,
  ),
);

/** `requestPrint` and `request-print` have the words `request` and `print`. */
function wordsOf(name: string): string[] {
  return name.split(/(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+/).map((word) => word.toLowerCase());
}

function isRuledOut(name: string): boolean {
  const words = wordsOf(name).join(' ');
  return ruledOut.some((one) => ` ${words} `.includes(` ${wordsOf(one).join(' ')} `));
}

test('the glossary has words, and knows names that are not used', () => {
  expect(rows.length).toBeGreaterThan(25);
  expect(ruledOut.length).toBeGreaterThan(8);
  expect(['requestPrint', 'request-print', 'createFeed'].every(isRuledOut)).toBe(true);
  expect(isRuledOut('printer')).toBe(false);
});

test('no file and no export has a name that the glossary rules out', () => {
  const files = readdirSync(new URL('src/', root), { recursive: true, encoding: 'utf8' }).filter((file) =>
    /\.(?:ts|lua)$/.test(file),
  );
  expect(files.length).toBeGreaterThan(100);
  const names = files.flatMap((file) => {
    const text = readFileSync(new URL(`src/${file}`, root), 'utf8');
    const exported = text.matchAll(
      /^export (?:async )?(?:function\*?|const|class|interface|type|let) (\w+)/gm,
    );
    return [file.replace(/\.\w+$/, ''), ...Array.from(exported, ([, name = '']) => name)].map(
      (name) => `${file}: ${name}`,
    );
  });
  expect(names.filter((name) => isRuledOut(name.slice(name.indexOf(': ') + 2)))).toEqual([]);
});
