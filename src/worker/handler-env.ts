// The environment of handlers: that of the program, without what only the program itself needs.

const SECRETS: ReadonlySet<string> = new Set(['REDIS_URL', 'API_KEYS', 'API_KEYS_FILE']);

/** What handlers find in `process.env`. Taken when their thread or process starts: a task module may have added to it. */
export function handlerEnv(): Record<string, string | undefined> {
  // Not settings of ours: those are read in config/.
  // oxlint-disable-next-line node/no-process-env
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !SECRETS.has(name)));
}
