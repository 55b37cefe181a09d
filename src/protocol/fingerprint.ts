// Groups failures that are the same: type, error name, the message without what differs from task to task, and where.

import { createHash } from 'node:crypto';
import type { TaskError } from './task-error.ts';

/** Part of the digest, so that fingerprints of other rules never mix with these. */
const RULES = 'v1';
const MESSAGE_CHARS = 4_096;
const FRAMES = 3;

/** In this order: a URL contains a path, a UUID contains digits. */
const VARIABLE_PARTS: readonly (readonly [RegExp, string])[] = [
  [/\b[a-z][a-z0-9+.-]*:\/\/[^\s"'<>]+/gi, '<url>'],
  [/[\w.+-]+@[\w-]+\.[\w.-]+/g, '<email>'],
  [/\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?/g, '<time>'],
  [/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi, '<uuid>'],
  [/(?:\/[\w.-]+){2,}/g, '<path>'],
  [/"[^"]{20,}"|'[^']{20,}'/g, '<text>'],
  [/\b(?:0x)?[0-9a-f]{8,}\b/gi, '<hex>'],
  [/\d{4,}/g, '<number>'],
];

/** 16 hexadecimal digits that are equal for failures with the same cause, as far as their text tells. */
export function fingerprintOf(type: string, error: TaskError): string {
  let message = error.message.slice(0, MESSAGE_CHARS);
  for (const [part, name] of VARIABLE_PARTS) message = message.replace(part, name);
  const parts = [RULES, type, error.name, message, ...ownFrames(error.stack ?? '')];
  return createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 16);
}

/** The first frames of the handler's own code, without line numbers: those move with every edit. */
function ownFrames(stack: string): string[] {
  return stack
    .split('\n')
    .filter((line) => line.trimStart().startsWith('at ') && !/node:|node_modules/.test(line))
    .slice(0, FRAMES)
    .map((line) => line.trim().replace(/:\d+:\d+\)?$/, ''));
}
