// The OpenAPI document, and a page that shows it.

import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { ERROR_CODES, type ErrorCode, isErrorCode, PopfleetError } from '../../protocol/errors.ts';
import { VERSION } from '../../version.ts';
import { answer, respond } from '../answer.ts';
import type { Deps } from '../deps.ts';
import { callComponents } from '../call-schema.ts';
import { hoistComponents } from '../../views/component.ts';
import { documentRoutes, type JsonSchema, type Route, route, TAGS, toJson } from '../operation.ts';
import { sendFile, type StaticFile, staticFile } from '../static-file.ts';

const ProblemSchema = v.object({
  type: v.pipe(v.string(), v.description('`/problems/<code>`')),
  title: v.string(),
  status: v.number(),
  detail: v.pipe(v.string(), v.description('What happened and what to do, for a person.')),
  instance: v.exactOptional(v.string()),
  code: v.pipe(
    v.picklist(Object.keys(ERROR_CODES) as [ErrorCode, ...ErrorCode[]]),
    v.description('Stable, for programs.'),
  ),
  requestId: v.string(),
  errors: v.exactOptional(
    v.array(
      v.object({
        pointer: v.pipe(v.string(), v.description('JSON Pointer (RFC 6901) into the request, as a fragment')),
        detail: v.string(),
      }),
    ),
  ),
  retryAfterSeconds: v.exactOptional(v.number()),
});

const DESCRIPTION = `Background tasks over plain HTTP. Bodies and answers are JSON or CBOR (RFC 8949), as \`Content-Type\` and
\`Accept\` say. Errors are problem documents (RFC 9457): programs look at \`code\`, people read \`detail\`. Within \`/v1\` only
additions happen: ignore members and values that you do not know.`;

/** The page may load its own script and style, and the images within the style; nothing from other hosts. */
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>popfleet API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="FOLDER/swagger-ui.css">
<div id="page"></div>
<script src="FOLDER/swagger-ui-bundle.js"></script>
<script src="FOLDER/start.js"></script>
</html>
`;
/** Finds the document relative to the page itself, so that a prefix which a proxy adds to both does not matter. */
const START = `const url = new URL('../openapi.json', document.currentScript.src).href;
SwaggerUIBundle({ url, dom_id: '#page', deepLinking: true, validatorUrl: null });
`;

const HEADERS = { 'Content-Security-Policy': PAGE_POLICY };

type DocsDeps = Pick<Deps, 'registry' | 'hostRules' | 'cookie'>;

/**
 * `GET /openapi.json`, `GET /docs`, `GET /problems/{code}`.
 * @param routes all routes, these included; called when the document is made
 */
export function docsRoutes(deps: DocsDeps, routes: () => readonly Route[]): readonly Route[] {
  let document: Uint8Array<ArrayBuffer> | undefined;
  // Relative to the page, whose path may end in a slash.
  const [page, pageOfFolder] = (['docs', '.'] as const).map((folder) =>
    staticFile('text/html; charset=utf-8', () => PAGE.replaceAll('FOLDER', folder)),
  ) as [() => StaticFile, () => StaticFile];
  return [
    route(
      'GET',
      '/openapi.json',
      {
        id: 'getDocument',
        tag: 'service',
        summary: 'This document',
        scope: 'public',
        answers: { 200: { description: 'OpenAPI 3.1.', content: { 'application/json': {} } } },
      },
      (c) => {
        document ??= writeDocument(deps, routes());
        return respond(c, 200, document, {
          'Content-Type': 'application/json',
          'Cache-Control': 'no-cache',
        });
      },
    ),
    route(
      'GET',
      '/problems/:code',
      {
        id: 'getProblem',
        tag: 'service',
        summary: 'What a code of a problem stands for',
        scope: 'public',
        params: { code: Object.keys(ERROR_CODES) },
        answers: {
          200: {
            description: 'Where `type` of a problem document points to.',
            schema: v.object({ code: v.string(), title: v.string(), status: v.number() }),
          },
        },
        // A path with an unknown code is not public.
        problems: ['not-found', 'unauthenticated'],
      },
      (c) => {
        const code = c.req.param('code') ?? '';
        if (!isErrorCode(code)) throw new PopfleetError('not-found', 'There is no such code.');
        const { title, status } = ERROR_CODES[code];
        return answer(c, 200, { code, title, status }, { 'Cache-Control': 'no-cache' });
      },
    ),
    ...FILES.map(([path, file]) => route('GET', path, undefined, (c) => sendFile(c, file(), HEADERS))),
    route('GET', '/docs', undefined, (c) => {
      const isFolder = new URL(c.req.url).pathname.endsWith('/');
      return sendFile(c, isFolder ? pageOfFolder() : page(), HEADERS);
    }),
  ];
}

const FILES = [
  ['/docs/start.js', staticFile('text/javascript; charset=utf-8', () => START)],
  ['/docs/swagger-ui.css', staticFile('text/css; charset=utf-8', () => read('swagger-ui.css'))],
  [
    '/docs/swagger-ui-bundle.js',
    staticFile('text/javascript; charset=utf-8', () => read('swagger-ui-bundle.js')),
  ],
] as const;

/** A file that the build has put into `dist/docs`. */
function read(name: string): Buffer {
  const here = import.meta.url;
  const folder = here.endsWith('.ts') ? '../../../dist/docs/' : '../../docs/';
  return readFileSync(new URL(folder + name, here));
}

/** `servers` may be relative to the URL of the document (OpenAPI 3.1, section 4.8.5). */
function writeDocument(
  { registry, hostRules, cookie }: DocsDeps,
  routes: readonly Route[],
): Uint8Array<ArrayBuffer> {
  const { paths, responses } = documentRoutes(routes);
  const document = {
    openapi: '3.1.0',
    info: {
      title: 'popfleet',
      description: DESCRIPTION,
      version: VERSION,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: hostRules.publicUrl ?? '.' }],
    security: [{ key: [] }, { session: [] }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    components: {
      schemas: { Problem: toJson(ProblemSchema, 'output') },
      responses,
      securitySchemes: {
        key: { type: 'http', scheme: 'bearer', description: 'An API key (`popfleet key`).' },
        session: { type: 'apiKey', in: 'cookie', name: cookie.name, description: 'From `POST /v1/session`.' },
      },
    },
    paths,
  };
  return Uint8Array.from(Buffer.from(JSON.stringify(withComponents(document, callComponents(registry)))));
}

/** @param ofTypes components of the task types, whose schemas name them */
function withComponents(document: object, ofTypes: Readonly<Record<string, JsonSchema>>): object {
  const found = new Map<string, JsonSchema>();
  const { components, ...rest } = hoistComponents(document, found) as {
    readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>> };
  };
  const schemas = { ...Object.fromEntries(found), ...components.schemas, ...ofTypes };
  return { ...rest, components: { ...components, schemas } };
}
