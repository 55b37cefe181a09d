// The dashboard: its page and files, and what leads there. It gets all its data from `/v1`, as any other client.

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import type { Context } from 'hono';
import { respond } from '../answer.ts';
import type { AppEnv } from '../app-env.ts';
import { basePathOf } from '../auth/access.ts';
import type { Deps } from '../deps.ts';
import { type Route, route } from '../operation.ts';
import { sendFile, staticFile } from '../static-file.ts';

/** Names by which modules import the libraries, and their files. Browsers take relative addresses from the page. */
const LIBRARIES: ReadonlyMap<string, string> = new Map([
  ['preact', './preact.js'],
  ['preact/hooks', './preact-hooks.js'],
  ['preact/jsx-runtime', './preact-jsx-runtime.js'],
  ['uplot', './uplot.js'],
]);
const IMPORT_MAP = JSON.stringify({ imports: Object.fromEntries(LIBRARIES) });

/**
 * The page may load its own files, and call this server. Nothing in it can become a script: neither text (Trusted Types) nor
 * markup. The import map is the only inline script, known by its hash.
 */
const POLICY = [
  "default-src 'none'",
  `script-src 'self' 'sha256-${createHash('sha256').update(IMPORT_MAP).digest('base64')}'`,
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "require-trusted-types-for 'script'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

const HEADERS = { 'Content-Security-Policy': POLICY, 'Cross-Origin-Opener-Policy': 'same-origin' };

const TYPES: ReadonlyMap<string, string> = new Map([
  ['js', 'text/javascript; charset=utf-8'],
  ['css', 'text/css; charset=utf-8'],
]);

/** `GET /ui` and its files; `GET /`, which leads there. */
export function uiRoutes({ hostRules }: Pick<Deps, 'hostRules'>): readonly Route[] {
  const basePath = basePathOf(hostRules.publicUrl);
  const names = readdirSync(folder()).filter((name) => TYPES.has(extensionOf(name)));
  const page = staticFile('text/html; charset=utf-8', () => pageOf(names));

  /** Without a base path the address is relative: a proxy may have the server under any. */
  const lead = (c: Context<AppEnv>): Response =>
    respond(c, 302, null, { Location: basePath === '' ? 'ui/' : `${basePath}/ui/` });

  return [
    // The second: a proxy that leaves the prefix has this page at the prefix itself.
    ...['/', ...(['', '/ui'].includes(basePath) ? [] : [basePath])].map((path) =>
      route('GET', path, undefined, lead),
    ),
    // Its files are found relative to the page, so its path has to end in a slash.
    route('GET', '/ui', undefined, (c) =>
      new URL(c.req.url).pathname.endsWith('/') ? sendFile(c, page(), HEADERS) : lead(c),
    ),
    ...names.map((name) => {
      const file = staticFile(TYPES.get(extensionOf(name)) ?? '', () =>
        readFileSync(new URL(name, folder())),
      );
      return route('GET', `/ui/${name}`, undefined, (c) => sendFile(c, file(), HEADERS));
    }),
  ];
}

/** Where the build has put the files: the same for the compiled server and for its source. */
function folder(): URL {
  const here = import.meta.url;
  return new URL(here.endsWith('.ts') ? '../../../dist/ui/' : '../../ui/', here);
}

function extensionOf(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1);
}

/** Modules that one imports, and those that these import; not those that are loaded when they are needed. */
function modulesOf(main: string, names: ReadonlySet<string>): readonly string[] {
  const found = new Set([main]);
  for (const module of found) {
    const text = readFileSync(new URL(module, folder()), 'utf8');
    for (const [, from = ''] of text.matchAll(/\b(?:from|import) ?["']([^"']+)["']/g)) {
      const name = (LIBRARIES.get(from) ?? from).replace('./', '');
      if (names.has(name)) found.add(name);
    }
  }
  return [...found];
}

/** Names the modules that it needs at once, so that browsers ask for all of them at once. */
function pageOf(names: readonly string[]): string {
  const modules = modulesOf('main.js', new Set(names));
  const styles = names.filter((name) => extensionOf(name) === 'css');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>popfleet</title>
<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' rx='4' fill='%230b5cad'/%3E%3Cpath d='M4 5h8M4 8h8M4 11h5' stroke='white' stroke-width='1.6' stroke-linecap='round'/%3E%3C/svg%3E">
${styles.map((name) => `<link rel="stylesheet" href="${name}">`).join('\n')}
<script type="importmap">${IMPORT_MAP}</script>
${modules.map((name) => `<link rel="modulepreload" href="${name}">`).join('\n')}
<script type="module" src="main.js"></script>
</head>
<body><noscript>The dashboard needs JavaScript. The API works without it: see /docs.</noscript></body>
</html>
`;
}
