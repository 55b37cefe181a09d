// What the middlewares leave for the routes.

import type { Caller } from './caller.ts';

export interface AppEnv {
  Variables: {
    /** A UUID, or what the caller sent as `X-Request-Id`. */
    requestId: string;
    caller: Caller;
    /** Whether the session of a caller with a cookie still holds; `undefined` for all others. */
    isSignedIn: (() => Promise<boolean>) | undefined;
    /** Headers that say what is left of the quota of a caller who sends tasks. */
    rateLimit: Readonly<Record<string, string>> | undefined;
    /** Path under which browsers find the server, such as `/tasks`; empty for the root. Links begin with it. */
    basePath: string;
    /** Whether browsers use https. */
    isHttps: boolean;
    /** True once the server drains. */
    isStopping: () => boolean;
  };
}
