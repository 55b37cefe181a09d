// The Hono app: all middlewares and routes, in their order.

import { randomUUID } from 'node:crypto';
import { type Context, Hono } from 'hono';
import { methodNotAllowed } from 'hono/method-not-allowed';
import { getPath } from 'hono/utils/url';
import { whenThere } from '../lifecycle.ts';
import { PopfleetError } from '../protocol/errors.ts';
import type { AppEnv } from './app-env.ts';
import { audited } from './audited.ts';
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

/** Without a regular expression, which may take long for a path of thousands of slashes. */
function withoutSlashesAround(path: string): string {
  let start = 0;
  let end = path.length;
  while (start < end && path[start] === '/') start += 1;
  while (end > start && path[end - 1] === '/') end -= 1;
  return `/${path.slice(start, end)}`;
}

/** A path that is the prefix alone stays as it is: it may be a short route. */
function withoutPrefix(path: string, prefix: string): string {
  const isUnder = prefix !== '' && path.startsWith(prefix) && path[prefix.length] === '/';
  return isUnder ? withoutSlashesAround(path.slice(prefix.length)) : path;
}

export function createApp(deps: Deps): Hono<AppEnv> {
  const basePath = basePathOf(deps.hostRules.publicUrl);
  // Every route and every check sees the same path: without slashes around it, and without the prefix, whether a proxy has
  // removed that or not.
  const app = new Hono<AppEnv>({
    getPath: (request) => withoutPrefix(withoutSlashesAround(getPath(request)), basePath),
  });

  app.use('*', (c, next) => {
    const begunAt = performance.now();
    return next().then(() =>
      deps.requests.answered(c.req.method, c.get('route'), c.res.status, performance.now() - begunAt),
    );
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
  // Before keys are checked: browsers send no key with a preflight request.
  if (deps.corsOrigins.length > 0) app.use('*', allowOrigins(deps.corsOrigins));
  app.use('*', (c, next) => {
    return whenThere(authenticate(c, deps, isPublic), ({ caller, by, isSignedIn }) => {
      // Where keys are required, a page of another site is accepted with a key only: no origin is trusted.
      if (by !== 'bearer') demandSameSite(c, deps.keyring.isEmpty ? deps.corsOrigins : []);
      c.set('caller', caller);
      c.set('isSignedIn', isSignedIn);
      return next();
    });
  });

  // The short route takes a path of any name: only those of task types are there.
  const isPosted = (path: string): boolean => path.includes('/', 1) || deps.registry.has(path.slice(1));
  const nothingThere = (c: Context<AppEnv>): Response =>
    problemAnswer(c, new PopfleetError('not-found', `Nothing is at ${c.req.path}.`));
  app.use(
    '*',
    methodNotAllowed({
      app,
      onMethodNotAllowed(c, found) {
        const allowed = found.filter((method) => method !== 'POST' || isPosted(c.req.path));
        if (allowed.length === 0) return nothingThere(c);
        const detail = `${c.req.path} takes ${allowed.join(', ')}.`;
        const headers = { Allow: allowed.join(', ') };
        return problemAnswer(c, new PopfleetError('method-not-allowed', detail), headers);
      },
    }),
  );

  for (const one of routes) addRoute(app, audited(one, deps));

  app.notFound(nothingThere);
  app.onError((thrown, c) => {
    const error = c.req.raw.signal.aborted ? callerIsGone(thrown) : toPopfleetError(thrown);
    if (error.status >= 500 && error.retryAfterSeconds === undefined) {
      deps.log.error({ err: error.cause ?? error, requestId: c.get('requestId') }, 'a request failed');
    }
    return problemAnswer(c, error);
  });
  return app;
}

/** A client that breaks off in the middle of a body is no fault of the server, and gets no answer. */
function callerIsGone(thrown: unknown): PopfleetError {
  if (thrown instanceof PopfleetError) return thrown;
  return new PopfleetError('malformed-body', 'The request was broken off.', { cause: thrown });
}
