// The HTTP surface: which middleware and which route answers what.

import { randomUUID } from 'node:crypto';
import { Hono } from 'hono';
import { methodNotAllowed } from 'hono/method-not-allowed';
import { getPath } from 'hono/utils/url';
import type { Log } from '../log.ts';
import { PopfleetError } from '../protocol/errors.ts';
import type { AppEnv } from './app-env.ts';
import { problemAnswer, toPopfleetError } from './problem.ts';
import { type EnqueueParts, shortRoute, tasksRoute } from './routes/enqueue.ts';
import { healthRoute } from './routes/health.ts';
import { type QueueRouteParts, queueRoutes } from './routes/queues.ts';
import { type ScheduleRouteParts, scheduleRoutes } from './routes/schedules.ts';
import { type TaskRouteParts, taskRoutes } from './routes/tasks.ts';

export interface AppParts extends EnqueueParts, TaskRouteParts, QueueRouteParts, ScheduleRouteParts {
  readonly log: Log;
  readonly isStopping: () => boolean;
}

const REQUEST_ID = /^[\w-]{1,128}$/;

export function createApp(parts: AppParts): Hono<AppEnv> {
  // Slashes around a path do not matter; every route and every check sees the same path.
  const app = new Hono<AppEnv>({ getPath: (request) => `/${getPath(request).replace(/^\/+|\/+$/g, '')}` });

  app.use('*', async (c, next) => {
    const given = c.req.header('x-request-id');
    const requestId = given !== undefined && REQUEST_ID.test(given) ? given : randomUUID();
    c.set('requestId', requestId);
    c.set('isStopping', parts.isStopping);
    await next();
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

  app.route('/', healthRoute(parts.inspector, parts.isStopping));
  app.route('/', tasksRoute(parts));
  app.route('/', taskRoutes(parts));
  app.route('/', queueRoutes(parts));
  app.route('/', scheduleRoutes(parts));
  app.route('/', shortRoute(parts));

  app.notFound((c) => problemAnswer(c, new PopfleetError('not-found', `Nothing is at ${c.req.path}.`)));
  app.onError((thrown, c) => {
    const error = toPopfleetError(thrown);
    if (error.status >= 500 && error.retryAfterSeconds === undefined) {
      parts.log.error({ err: error.cause ?? error, requestId: c.get('requestId') }, 'a request failed');
    }
    return problemAnswer(c, error);
  });
  return app;
}
