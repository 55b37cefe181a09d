// Idempotency keys of callers with different keys of the API are apart.

/** @returns the idempotency key as it stands in Redis. @param owner name of the caller's key of the API */
export function ownedKey(owner: string | undefined, key: string): string {
  return owner === undefined ? key : `${owner}:${key}`;
}
