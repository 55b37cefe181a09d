// The idempotency key that a task has before it is sent for the first time, so that a repeat never makes a second one.

/** The same with a key of its own, unless it has one. */
export function keyed<Sent extends object>(sent: Sent): Sent & { readonly key: string } {
  const { key = newKey() } = sent as { readonly key?: string | undefined };
  return { ...sent, key };
}

/** Browsers have `randomUUID` on pages that came over https alone, and on those of the own machine. */
function newKey(): string {
  if (typeof crypto.randomUUID === 'function') return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
