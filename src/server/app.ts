// The Hono app: all routes behind the entrance of every request.

import { Hono } from 'hono';
import { getPath } from 'hono/utils/url';
import { PopfleetError } from '../protocol/errors.ts';
import type { AppEnv } from './app-env.ts';
import { audited } from './audited.ts';
import { basePathOf } from './auth/access.ts';
import type { Deps } from './deps.ts';
import { createEntrance } from './entrance.ts';
import { addRoute, publicPaths, ROUTE_METHODS } from './operation.ts';
import { problemAnswer } from './problem.ts';
import { RememberingRouter } from './router.ts';
import { createRoutes } from './routes.ts';

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
    router: new RememberingRouter(),
  });
  const routes = createRoutes(deps);
  const enter = createEntrance(deps, basePath, publicPaths(routes));
  for (const one of routes) addRoute(app, audited(one, deps), enter);

  // The short route takes a path of any name: only those of task types are there.
  const isPosted = (path: string): boolean => path.includes('/', 1) || deps.registry.has(path.slice(1));
  const nothingThere = enter((c) => {
    const { path } = c.req;
    const allowed = methodsOf(app, path).filter((method) => method !== 'POST' || isPosted(path));
    if (allowed.length === 0) throw new PopfleetError('not-found', `Nothing is at ${path}.`);
    const methods = allowed.join(', ');
    const error = new PopfleetError('method-not-allowed', `${path} takes ${methods}.`);
    return problemAnswer(c, error, { Allow: methods });
  });
  app.notFound(nothingThere);
  return app;
}

/** The methods that a path takes. */
function methodsOf({ router }: Hono<AppEnv>, path: string): readonly string[] {
  const methods = ROUTE_METHODS.filter((method) => router.match(method, path)[0].length > 0);
  return methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
}
