// The variables that say who may call a server, and from where.

import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { type ApiKey, readApiKeys } from './server/auth/api-keys.ts';
import { isLoopback } from './server/auth/loopback.ts';

export function accessVariables() {
  return {
    API_KEYS: v.optional(apiKeys((text) => text)),
    API_KEYS_FILE: v.optional(apiKeys((path) => readFileSync(path, 'utf8'))),
    ALLOW_ANONYMOUS: v.optional(
      v.pipe(
        v.picklist(['1', 'true', '0', 'false'], 'must be 1, true, 0 or false'),
        v.transform((text) => text === '1' || text === 'true'),
      ),
      '0',
    ),
    PUBLIC_URL: v.optional(
      v.pipe(
        v.string(),
        v.check(
          isHttpUrl,
          'must be like https://tasks.example.org or https://example.org/tasks, without a query or credentials',
        ),
        v.check(
          (text) => !isHttpUrl(text) || !/^\/+(?:v1|docs|problems)(?:\/|$)/.test(new URL(text).pathname),
          'must not have a path that begins like one of the server (v1, docs, problems)',
        ),
        v.transform((text) => text.replace(/\/+$/, '')),
      ),
    ),
    CORS_ORIGINS: v.optional(
      v.pipe(
        v.string(),
        v.transform((text) => text.split(',').map((origin) => origin.trim())),
        v.everyItem(isHttpOrigin, 'must be origins like https://app.example.org, without a path'),
      ),
    ),
  };
}

/** @param read finds the entries by what the variable says */
function apiKeys(read: (value: string) => string) {
  return v.pipe(
    v.string(),
    v.rawTransform(({ dataset, addIssue, NEVER }): readonly ApiKey[] => {
      let text: string;
      try {
        text = read(dataset.value);
      } catch (error) {
        addIssue({ message: `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown fault'})` });
        return NEVER;
      }
      const { keys, faults } = readApiKeys(text);
      for (const message of faults) addIssue({ message });
      return faults.length > 0 ? NEVER : keys;
    }),
  );
}

function isHttpOrigin(text: string): boolean {
  return /^https?:/.test(text) && URL.canParse(text) && new URL(text).origin === text;
}

/** Its path may go into headers and pages as it is: what has to be written with escapes is left to no one's reading. */
function isHttpUrl(text: string): boolean {
  if (!/^https?:\/\//.test(text) || !URL.canParse(text)) return false;
  const { origin, pathname } = new URL(text);
  const written = text.replace(/\/+$/, '');
  return written === `${origin}${pathname}`.replace(/\/+$/, '') && /^(?:\/[\w.~-]+)*\/*$/.test(pathname);
}

interface KeyVariables {
  readonly API_KEYS?: readonly ApiKey[] | undefined;
  readonly API_KEYS_FILE?: readonly ApiKey[] | undefined;
}

export function allKeys({ API_KEYS = [], API_KEYS_FILE = [] }: KeyVariables): readonly ApiKey[] {
  return [...API_KEYS, ...API_KEYS_FILE];
}

interface ExposureVariables extends KeyVariables {
  readonly APP_TYPE: string;
  readonly HOST: string;
  readonly ALLOW_ANONYMOUS: boolean;
}

/** Whether others could reach a server that asks for no key, and nobody said that this is meant. */
export function isLeftOpen(read: ExposureVariables): boolean {
  const isServer = read.APP_TYPE !== 'worker';
  return isServer && !isLoopback(read.HOST) && !read.ALLOW_ANONYMOUS && allKeys(read).length === 0;
}
