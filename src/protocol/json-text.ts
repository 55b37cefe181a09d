// Values as JSON text, for answers and webhooks.

/** A value as JSON text. JSON has no byte strings: they become base64 (RFC 4648, section 4). */
export function toJsonText(value: unknown): string {
  return JSON.stringify(value, plainForJson);
}

function plainForJson(this: unknown, key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const original = (this as Record<string, unknown>)[key];
  return original instanceof Uint8Array ? Buffer.from(original).toString('base64') : value;
}
