// New secrets for old ones, without a moment in which a receiver that knows one of them refuses what is sent.

import type { SigningSecret } from '../store/webhook-endpoints.ts';

/** How long the secret before signs beside the new one, in milliseconds. */
const OVERLAP_MS = 86_400_000;
/** A receiver looks at each signature. */
const MOST_SECRETS = 3;

/** @param now milliseconds since 1970 @returns the new secret first */
export function rotated(
  secrets: readonly SigningSecret[],
  secret: string,
  now: number,
): readonly SigningSecret[] {
  const until = now + OVERLAP_MS;
  const before = secrets
    .filter((one) => one.until === undefined || one.until > now)
    .map((one) => ({ secret: one.secret, until: Math.min(one.until ?? until, until) }));
  return [{ secret }, ...before].slice(0, MOST_SECRETS);
}
