// Values as JSON text, for answers and webhooks.

/** A value as JSON text. JSON has no byte strings: they become base64 (RFC 4648, section 4). */
export function toJsonText(value: unknown): string {
  // A function that looks at each value makes it several times slower.
  return hasBytes(value) ? JSON.stringify(value, plainForJson) : JSON.stringify(value);
}

function hasBytes(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (value instanceof Uint8Array) return true;
  for (const part of Array.isArray(value) ? value : Object.values(value)) if (hasBytes(part)) return true;
  return false;
}

function plainForJson(this: unknown, key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const original = (this as Record<string, unknown>)[key];
  return original instanceof Uint8Array ? Buffer.from(original).toString('base64') : value;
}
