// Links between documents lead to a file that is there, and to a heading of it.

import { existsSync, readFileSync, statSync } from 'node:fs';
import { expect, test } from 'vitest';
import { docsPaths, readDocsPage } from '../../src/docs-pages.ts';

const ROOT = new URL('../../', import.meta.url);

/** What GitHub calls a heading in an address. */
function anchorOf(heading: string): string {
  const words = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
  return words.replaceAll(/[^\p{L}\p{N}\s_-]/gu, '').replaceAll(/\s/g, '-');
}

function anchorsIn(markdown: string): ReadonlySet<string> {
  const text = markdown.replaceAll(/^```.*?^```$/gms, '');
  return new Set(Array.from(text.matchAll(/^#+ (.+)$/gm), ([, heading = '']) => anchorOf(heading)));
}

function faultOf(path: string, link: string): string | undefined {
  const url = new URL(link, new URL(path, ROOT));
  const file = new URL(url.pathname, ROOT);
  if (!existsSync(file)) return `${path}: ${link} is not there`;
  const anchor = url.hash.slice(1);
  if (anchor === '' || statSync(file).isDirectory()) return undefined;
  if (anchorsIn(readFileSync(file, 'utf8')).has(decodeURIComponent(anchor))) return undefined;
  return `${path}: ${link} has no such heading`;
}

test('every link leads somewhere', () => {
  const faults = docsPaths().flatMap((path) => {
    const text = readDocsPage(path).text.replaceAll(/^```.*?^```$/gms, '');
    const links = Array.from(text.matchAll(/\]\(([^)\s]+)\)/g), ([, link = '']) => link);
    return links.filter((link) => !/^https?:/.test(link)).map((link) => faultOf(path, link));
  });
  expect(faults.length).toBeGreaterThan(50);
  expect(faults.filter((fault) => fault !== undefined)).toEqual([]);
});

test('whoever has the package alone has all that its documents lead users to', () => {
  const { files } = JSON.parse(readFileSync(new URL('package.json', ROOT), 'utf8')) as { files: string[] };
  // npm packs README and LICENSE by itself; the others are for those who change popfleet.
  const known = new Set([...files, 'README.md', 'LICENSE', 'src', 'scripts', 'tests']);
  const led = docsPaths().flatMap((path) =>
    Array.from(readDocsPage(path).text.matchAll(/\]\(([^)\s#]+)/g), ([, link = '']) => link)
      .filter((link) => !/^https?:/.test(link))
      .map((link) => new URL(link, new URL(path, ROOT)).pathname.slice(ROOT.pathname.length).split('/')[0]),
  );
  expect(led.filter((name) => !known.has(name ?? ''))).toEqual([]);
  expect(led).toEqual(expect.arrayContaining(['examples', 'deploy']));
});

test('a document opens with its title, and those that are read first with a sentence on what is in them', () => {
  for (const { path, title, summary } of docsPaths().map(readDocsPage)) {
    expect(title, path).toMatch(/^\S[^#\n]*$/);
    if (!/\/decisions\/\d/.test(path)) expect(summary, path).toMatch(/^\S.{15,250}\.$/);
  }
});
