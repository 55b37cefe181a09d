// The documents as plain text, for programs that read: `/llms.txt` (https://llmstxt.org) leads to all of them.

import { type DocsPage, docsPaths, readDocsPage } from '../../docs-pages.ts';
import { type Route, route } from '../operation.ts';
import { sendFile, staticFile } from '../static-file.ts';

const MARKDOWN = 'text/markdown; charset=utf-8';

/**
 * `GET /llms.txt`, and each document at its path in the package, such as `GET /docs/protocol.md`. The routes are made of the
 * files that are there, so no path leads to another one.
 */
export function plainDocsRoutes(): readonly Route[] {
  const paths = docsPaths();
  const contents = staticFile('text/plain; charset=utf-8', () => writeContents(paths.map(readDocsPage)));
  return [
    route('GET', '/llms.txt', undefined, (c) => sendFile(c, contents())),
    ...paths.map((path) => {
      const file = staticFile(MARKDOWN, () => readDocsPage(path).text);
      return route('GET', `/${path}`, undefined, (c) => sendFile(c, file()));
    }),
  ];
}

/** Links are relative, so that a prefix which a proxy adds to all paths does not matter. */
function writeContents(pages: readonly DocsPage[]): string {
  const isDecision = ({ path }: DocsPage): boolean => path.includes('/decisions/');
  const readme = pages.find(({ path }) => path === 'README.md');
  const api = {
    path: 'openapi.json',
    title: 'OpenAPI',
    summary: 'The HTTP API of this server, for generators.',
  };
  return [
    '# popfleet',
    readme?.summary && `> ${readme.summary}`,
    'The documents of the release that runs here. Where they say `http://127.0.0.1:3000`, take the address of this server.',
    `## Docs\n\n${listOf([...pages.filter((page) => !isDecision(page)), api])}`,
    `## Optional\n\n${listOf(pages.filter(isDecision))}`,
  ]
    .filter((part) => part !== undefined && part !== '')
    .join('\n\n')
    .concat('\n');
}

function listOf(pages: readonly Pick<DocsPage, 'path' | 'title' | 'summary'>[]): string {
  return pages
    .map(({ path, title, summary }) => `- [${title}](${path})${summary === '' ? '' : `: ${summary}`}`)
    .join('\n');
}
