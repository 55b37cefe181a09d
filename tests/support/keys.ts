// API keys of a test.

import { type ApiKey, createKey, readApiKeys } from '../../src/server/auth/api-keys.ts';
import { SCOPES, type Scope } from '../../src/server/caller.ts';

export interface TestKey {
  readonly text: string;
  readonly id: string;
  /** For `API_KEYS`. */
  readonly entry: string;
  /** For the settings of a server. */
  readonly apiKey: ApiKey;
  /** Headers that carry it. */
  readonly bearer: Record<string, string>;
}

export function makeKey(scopes: readonly Scope[] = SCOPES, queues?: readonly string[]): TestKey {
  const { key, entry } = createKey(scopes, queues);
  const [apiKey] = readApiKeys(entry).keys;
  if (!apiKey) throw new TypeError(`no entry: ${entry}`);
  return { text: key, id: apiKey.id, entry, apiKey, bearer: { authorization: `Bearer ${key}` } };
}
