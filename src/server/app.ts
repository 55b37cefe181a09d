// The HTTP surface: which middleware and which route answers what.

import { randomUUID } from 'node:crypto';
import { Hono } from 'hono';
import { methodNotAllowed } from 'hono/method-not-allowed';
import { getPath } from 'hono/utils/url';
import { whenThere } from '../lifecycle.ts';
import { PopfleetError } from '../protocol/errors.ts';
import type { AppEnv } from './app-env.ts';
import { basePathOf } from './auth/access.ts';
import { authenticate } from './auth/authenticate.ts';
import { demandSameSite } from './auth/cross-site.ts';
import { createHostCheck } from './auth/host.ts';
import { allowOrigins } from './cors.ts';
import type { Deps } from './deps.ts';
import { addRoute, publicPaths } from './operation.ts';
import { problemAnswer, toPopfleetError } from './problem.ts';
import { createRoutes } from './routes.ts';

const REQUEST_ID = /^[\w-]{1,128}$/;

/** Without a regular expression: anyone may send a path of thousands of slashes. */
function withoutSlashesAround(path: string): string {
  let start = 0;
  let end = path.length;
  while (start < end && path[start] === '/') start += 1;
  while (end > start && path[end - 1] === '/') end -= 1;
  return `/${path.slice(start, end)}`;
}

/** The prefix alone may as well be a short route: it stays. */
function withoutPrefix(path: string, prefix: string): string {
  const isUnder = prefix !== '' && path.startsWith(prefix) && path[prefix.length] === '/';
  return isUnder ? withoutSlashesAround(path.slice(prefix.length)) : path;
}

export function createApp(deps: Deps): Hono<AppEnv> {
  const basePath = basePathOf(deps.hostRules.publicUrl);
  // Slashes around a path do not matter, nor whether a proxy has taken its prefix away; every route and every check sees the
  // same path.
  const app = new Hono<AppEnv>({
    getPath: (request) => withoutPrefix(withoutSlashesAround(getPath(request)), basePath),
  });

  const routes = createRoutes(deps);
  const isPublic = publicPaths(routes);
  const checkHost = createHostCheck(deps.hostRules);
  const isHttps = deps.hostRules.publicUrl?.startsWith('https:') ?? false;
  app.use('*', (c, next) => {
    const given = c.req.header('x-request-id');
    const requestId = given !== undefined && REQUEST_ID.test(given) ? given : randomUUID();
    c.set('requestId', requestId);
    c.set('isHttps', isHttps);
    c.set('basePath', basePath);
    c.set('isStopping', deps.isStopping);
    checkHost(c);
    return next();
  });
  // Before keys are asked for: browsers send none with the question whether they may send one.
  if (deps.corsOrigins.length > 0) app.use('*', allowOrigins(deps.corsOrigins));
  app.use('*', (c, next) => {
    return whenThere(authenticate(c, deps, isPublic), ({ caller, by, isSignedIn }) => {
      // Where keys are asked for, a page of another site gets in by one only.
      if (by !== 'bearer') demandSameSite(c, deps.keyring.isEmpty ? deps.corsOrigins : []);
      c.set('caller', caller);
      c.set('isSignedIn', isSignedIn);
      return next();
    });
  });

  app.use(
    '*',
    methodNotAllowed({
      app,
      onMethodNotAllowed(c, allowed) {
        const detail = `${c.req.path} takes ${allowed.join(', ')}.`;
        const headers = { Allow: allowed.join(', ') };
        return problemAnswer(c, new PopfleetError('method-not-allowed', detail), headers);
      },
    }),
  );

  for (const one of routes) addRoute(app, one);

  app.notFound((c) => problemAnswer(c, new PopfleetError('not-found', `Nothing is at ${c.req.path}.`)));
  app.onError((thrown, c) => {
    const error = c.req.raw.signal.aborted ? callerIsGone(thrown) : toPopfleetError(thrown);
    if (error.status >= 500 && error.retryAfterSeconds === undefined) {
      deps.log.error({ err: error.cause ?? error, requestId: c.get('requestId') }, 'a request failed');
    }
    return problemAnswer(c, error);
  });
  return app;
}

/** Whoever breaks off in the middle of a body is no fault of ours, and hears no answer. */
function callerIsGone(thrown: unknown): PopfleetError {
  if (thrown instanceof PopfleetError) return thrown;
  return new PopfleetError('malformed-body', 'The request was broken off.', { cause: thrown });
}
