// What the middlewares leave for the routes.

export interface AppEnv {
  Variables: {
    /** A UUID, or what the caller sent as `X-Request-Id`. */
    requestId: string;
    /** True once the server drains. */
    isStopping: () => boolean;
  };
}
