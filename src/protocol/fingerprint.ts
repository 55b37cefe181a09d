// Fingerprints that group failures with the same cause: a digest of the task type, of name, code and message (without what
// differs from task to task) of the error and its causes, and of the first own frames of the stack.

import { createHash } from 'node:crypto';
import type { ErrorCause, TaskError } from './task-error.ts';
import { cutText } from './value-text.ts';

/** Version of the rules, part of the digest, so that fingerprints of different rules never match. */
const RULES = 'v2';
const MESSAGE_CHARS = 4_096;
const FRAMES = 3;
/** Characters of a message that are shown for a whole group. */
const GROUP_MESSAGE_CHARS = 300;
/** Versions of the code that a group has, the latest. */
export const MOST_VERSIONS = 5;

/** Replacements, in this order: a URL contains a path, a UUID contains digits. */
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

/** 16 hexadecimal digits, equal for failures whose type, errors and frames are the same. */
export function fingerprintOf(type: string, error: TaskError): string {
  // Line numbers change with every edit.
  const frames = ownFrames(error.stack ?? '').map((frame) => frame.replace(/:\d+:\d+\)?$/, ''));
  const parts = [RULES, type, ...partsOf(error), ...frames];
  return createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 16);
}

/** A message as it holds for all failures with its fingerprint, in short. */
export function messageOfGroup(message: string): string {
  return cutText(withoutVariableParts(message), GROUP_MESSAGE_CHARS);
}

/** The parts of an error, then those of its cause, then those of its errors. */
function partsOf({ name, message, code = '', cause, errors = [] }: ErrorCause): string[] {
  const nested = [...(cause ? [cause] : []), ...errors].flatMap(partsOf);
  return [name, code, withoutVariableParts(message), ...nested];
}

function withoutVariableParts(message: string): string {
  let text = message.slice(0, MESSAGE_CHARS);
  for (const [part, name] of VARIABLE_PARTS) text = text.replace(part, name);
  return text;
}

/** The first frames of the handler's own code, each as `at name (file:line:column)`. */
export function ownFrames(stack: string): string[] {
  return stack
    .split('\n')
    .filter((line) => line.trimStart().startsWith('at ') && !/node:|node_modules/.test(line))
    .slice(0, FRAMES)
    .map((line) => line.trim());
}
