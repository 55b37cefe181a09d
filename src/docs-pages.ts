// The documents of this package, as they are packed with it: the server shows them as plain text, and `popfleet mcp` as resources.

import { readdirSync, readFileSync } from 'node:fs';

/** One document in Markdown. */
export interface DocsPage {
  /** Below the root of the package, with slashes: `docs/protocol.md`. */
  readonly path: string;
  readonly title: string;
  /** Its first sentence, as plain text; empty when it does not begin with one. */
  readonly summary: string;
  readonly text: string;
}

/** The same from `src/` and from `dist/`. */
const ROOT = new URL('../', import.meta.url);
const README = 'README.md';

/** Paths of all documents, the README first. Those that an installation has left out are not among them. */
export function docsPaths(): readonly string[] {
  const atRoot = namesIn('.').filter((name) => name === README);
  const below = namesIn('docs').map((name) => `docs/${name.replaceAll('\\', '/')}`);
  return [...atRoot, ...below.filter((path) => path.endsWith('.md')).sort()];
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(new URL(folder, ROOT), { recursive: folder !== '.', encoding: 'utf8' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** @param path one of `docsPaths()` */
export function readDocsPage(path: string): DocsPage {
  const text = readFileSync(new URL(path, ROOT), 'utf8');
  const [heading = '', ...paragraphs] = text.split(/\n{2,}/);
  const opening = paragraphs[0] ?? '';
  const isProse = /^[\p{L}`[]/u.test(opening);
  return {
    path,
    title: heading.replace(/^#\s+/, ''),
    summary: isProse ? firstSentence(withoutMarks(opening)) : '',
    text,
  };
}

/** Links by their words, and code without its marks. */
function withoutMarks(markdown: string): string {
  return markdown
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replaceAll(/[`*]/g, '')
    .replaceAll(/\s+/g, ' ')
    .trim();
}

function firstSentence(text: string): string {
  return /^.*?\.(?=\s|$)/.exec(text)?.[0] ?? text;
}
