// All that decides which requests are allowed, made of the settings.

import type { Sessions } from '../../store/sessions.ts';
import { type ApiKey, createKeyring } from './api-keys.ts';
import type { AuthenticateDeps } from './authenticate.ts';
import { createFailures } from './failures.ts';
import type { HostRules } from './host.ts';
import { createSessionCookie } from './session.ts';

export interface AccessSettings {
  /** Without any key, every caller may do everything. */
  readonly apiKeys: readonly ApiKey[];
  /** Without keys: accept requests for any host name, not only for the names of this machine. */
  readonly allowAnonymous: boolean;
  /** URL under which browsers reach the server: an origin, and a path when a proxy adds one. No slash at the end. */
  readonly publicUrl: string | undefined;
  /** Origins of pages that may read answers. */
  readonly corsOrigins: readonly string[];
}

export interface AccessDeps extends AuthenticateDeps {
  readonly hostRules: HostRules;
  readonly corsOrigins: readonly string[];
}

/** @returns the path under which browsers find the server, such as `/tasks`; empty for the root */
export function basePathOf(publicUrl: string | undefined): string {
  return publicUrl === undefined ? '' : new URL(publicUrl).pathname.replace(/\/+$/, '');
}

export function createAccess(settings: AccessSettings, sessions: Sessions): AccessDeps {
  const { apiKeys, allowAnonymous, publicUrl, corsOrigins } = settings;
  return {
    keyring: createKeyring(apiKeys),
    cookie: createSessionCookie(publicUrl?.startsWith('https:') ?? false, basePathOf(publicUrl)),
    failures: createFailures(),
    sessions,
    hostRules: { hasKeys: apiKeys.length > 0, allowAnonymous, publicUrl },
    corsOrigins,
  };
}
