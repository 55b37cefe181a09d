// What the middlewares leave for the routes.

import type { Caller } from './caller.ts';

export interface AppEnv {
  Variables: {
    /** A UUID, or what the caller sent as `X-Request-Id`. */
    requestId: string;
    caller: Caller;
    /** Whether browsers use https. */
    isHttps: boolean;
    /** True once the server drains. */
    isStopping: () => boolean;
  };
}
