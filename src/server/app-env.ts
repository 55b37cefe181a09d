// The variables of a request that middlewares set for the routes.

import type { Caller } from './caller.ts';

export interface AppEnv {
  Variables: {
    /** Pattern of the path of the route that takes the request; `undefined` before, and when none does. */
    route: string | undefined;
    /** A UUID, or the caller's `X-Request-Id`. */
    requestId: string;
    caller: Caller;
    /** Checks whether the session of a caller with a cookie is still valid; `undefined` for all others. */
    isSignedIn: (() => Promise<boolean>) | undefined;
    /** Headers with what is left of the caller's quota, when it sends tasks. */
    rateLimit: Readonly<Record<string, string>> | undefined;
    /** What the route knows of a change, for the audit. */
    auditFacts: Readonly<Record<string, unknown>> | undefined;
    /** Set by a call that could have changed something, and did not. */
    hasChangedNothing: true | undefined;
    /** Path under which browsers find the server, such as `/tasks`; empty for the root. Links begin with it. */
    basePath: string;
    /** Whether browsers use https. */
    isHttps: boolean;
    /** True once the server drains. */
    isStopping: () => boolean;
  };
}
