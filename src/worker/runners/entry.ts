// How a thread, or a process of its own, starts: its entry file and its environment.

/** URL of a built entry file, also when this module runs from its source (in tests): not every Node loads TypeScript there. */
export function entryUrl(name: 'thread-entry' | 'process-entry'): URL {
  const here = import.meta.url;
  const path = here.endsWith('.ts') ? `../../../dist/worker/runners/${name}.js` : `./${name}.js`;
  return new URL(path, here);
}

/** Only the program itself needs them. */
const SECRETS: ReadonlySet<string> = new Set(['REDIS_URL', 'API_KEYS', 'API_KEYS_FILE']);

/** What handlers find in `process.env`. Taken when their thread or process starts: a task module may have added to it. */
export function handlerEnv(): Record<string, string | undefined> {
  // Not settings of ours: those are read in config/.
  // oxlint-disable-next-line node/no-process-env
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !SECRETS.has(name)));
}
