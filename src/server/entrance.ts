// What every request passes before a handler gets it, and what becomes of what that throws. One function around each handler: as
// middlewares of Hono, each of these steps would cost a request two promises more.

import { randomUUID } from 'node:crypto';
import type { Context } from 'hono';
import { type Soon, whenThere } from '../lifecycle.ts';
import { PopfleetError } from '../protocol/errors.ts';
import type { AppEnv } from './app-env.ts';
import { authenticate } from './auth/authenticate.ts';
import { demandSameSite } from './auth/cross-site.ts';
import { createHostCheck } from './auth/host.ts';
import { allowOrigins } from './cors.ts';
import type { Deps } from './deps.ts';
import type { Handler } from './operation.ts';
import { problemAnswer, toPopfleetError } from './problem.ts';

const REQUEST_ID = /^[\w-]{1,128}$/;

/**
 * @param basePath path under which browsers find the server
 * @param isPublic whether a path needs no key
 * @returns what puts it around a handler
 */
export function createEntrance(
  deps: Deps,
  basePath: string,
  isPublic: (method: string, path: string) => boolean,
): (handle: Handler) => (c: Context<AppEnv>) => Promise<Response> {
  const checkHost = createHostCheck(deps.hostRules);
  const isHttps = deps.hostRules.publicUrl?.startsWith('https:') ?? false;
  const throughCors = deps.corsOrigins.length > 0 ? allowOrigins(deps.corsOrigins) : undefined;

  function identify(c: Context<AppEnv>): void {
    const given = c.req.header('x-request-id');
    const requestId = given !== undefined && REQUEST_ID.test(given) ? given : randomUUID();
    c.set('requestId', requestId);
    c.set('isHttps', isHttps);
    c.set('basePath', basePath);
    c.set('isStopping', deps.isStopping);
    checkHost(c);
  }

  function admitted(c: Context<AppEnv>, handle: Handler): Soon<Soon<Response>> {
    return whenThere(authenticate(c, deps, isPublic), ({ caller, by, isSignedIn }) => {
      // Where keys are required, a page of another site is accepted with a key only: no origin is trusted.
      if (by !== 'bearer') demandSameSite(c, deps.keyring.isEmpty ? deps.corsOrigins : []);
      c.set('caller', caller);
      c.set('isSignedIn', isSignedIn);
      return handle(c);
    });
  }

  /** The answer to whatever was thrown. */
  function failed(c: Context<AppEnv>, thrown: unknown): Response {
    const error = c.req.raw.signal.aborted ? callerIsGone(thrown) : toPopfleetError(thrown);
    if (error.status >= 500 && error.retryAfterSeconds === undefined) {
      deps.log.error({ err: error.cause ?? error, requestId: c.get('requestId') }, 'a request failed');
    }
    return problemAnswer(c, error);
  }

  async function answered(c: Context<AppEnv>, step: () => Soon<Soon<Response>>): Promise<Response> {
    try {
      return await step();
    } catch (thrown) {
      return failed(c, thrown);
    }
  }

  return (handle) => async (c) => {
    const begunAt = performance.now();
    const response = await answered(c, () => {
      identify(c);
      const admit = (): Soon<Soon<Response>> => admitted(c, handle);
      // Before keys are checked: browsers send no key with a preflight request. Pages may read errors, too.
      return throughCors ? throughCors(c, () => answered(c, admit)) : admit();
    });
    const ms = performance.now() - begunAt;
    deps.requests.answered(c.req.method, c.get('route'), response.status, ms);
    return response;
  };
}

/** A client that breaks off in the middle of a body is no fault of the server, and gets no answer. */
function callerIsGone(thrown: unknown): PopfleetError {
  if (thrown instanceof PopfleetError) return thrown;
  return new PopfleetError('malformed-body', 'The request was broken off.', { cause: thrown });
}
