// The preferences of a caller for an answer (RFC 7240): to wait for the end of a task, and whether it needs a body.

import type { Context } from 'hono';
import * as v from 'valibot';
import type { AppEnv } from './app-env.ts';
import { listElements } from './header-list.ts';
import { shownAsInteger } from './operation.ts';

/** Longest wait, below the 60 s after which load balancers usually give up on an answer. */
const LONGEST_WAIT_SECONDS = 55;

/** `wait` in the query of an operation. */
export const waitEntry = v.optional(
  v.pipe(
    v.string(),
    v.regex(/^\d{1,6}$/, 'must be a whole number of seconds'),
    v.description(
      `Seconds to wait until the task is finished; cut at ${LONGEST_WAIT_SECONDS}. Wins over \`Prefer: wait=\`.`,
    ),
    shownAsInteger(0, 999_999),
    v.transform(Number),
  ),
);

export interface Preferences {
  /** Seconds to wait for the end of the task; 0 = not at all. */
  readonly waitSeconds: number;
  /** Whether an answer without a body is enough. */
  readonly minimal: boolean;
}

/**
 * The preferences that the server follows. A longer wait than the longest is cut. Unknown preferences, and those that cannot
 * be read, are ignored, as RFC 7240 requires.
 * @param wait seconds of the query, which override the header
 */
export function preferencesOf(c: Context<AppEnv>, wait: number | undefined): Preferences {
  const preferred = readPrefer(c.req.header('prefer') ?? '');
  const seconds = /^\d{1,6}$/.exec(preferred.get('wait') ?? '')?.[0] ?? 0;
  return {
    waitSeconds: Math.min(wait ?? Number(seconds), LONGEST_WAIT_SECONDS),
    minimal: preferred.get('return') === 'minimal',
  };
}

/** The headers with the preferences that were followed. @param applied those that show in the answer (RFC 7240, section 3) */
export function appliedPreferences({ waitSeconds, minimal }: Preferences): Readonly<Record<string, string>> {
  const applied = [
    ...(waitSeconds > 0 ? [`wait=${waitSeconds}`] : []),
    ...(minimal ? ['return=minimal'] : []),
  ];
  return applied.length > 0 ? { 'Preference-Applied': applied.join(', ') } : {};
}

/** Name and value of each preference, up to its parameters: `token [= token or quoted text]`. */
const PREFERENCE = /^\s*([\w!#$%&'*+.^`|~-]+)\s*(?:=\s*(?:"([^"\\]*)"|([\w!#$%&'*+.^`|~-]+))\s*)?(?:;|$)/;

/** Names are case-insensitive, and the first of a name counts. */
function readPrefer(header: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const part of listElements(header)) {
    const [, name, quoted, bare] = PREFERENCE.exec(part) ?? [];
    if (name !== undefined && !found.has(name.toLowerCase())) {
      found.set(name.toLowerCase(), quoted ?? bare ?? '');
    }
  }
  return found;
}
