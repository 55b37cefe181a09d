// What a handler says when it makes a child.

import { encodeCbor } from '../../protocol/cbor.ts';
import { readPlain } from '../../protocol/plain-value.ts';
import { readProperty } from '../../protocol/value-text.ts';
import type { SpawnOptions } from '../../tasks/define.ts';
import type { HandlerRequest } from './runner.ts';

/** Characters of a key. */
const MOST_KEY_CHARS = 255;

/**
 * @param task a definition, or the type of one
 * @param position of the child among those that have no key, from 1
 * @throws TypeError that says what is wrong
 */
export function toSpawnRequest(
  task: unknown,
  input: unknown,
  options: SpawnOptions | undefined,
  position: () => number,
): Extract<HandlerRequest, { readonly kind: 'spawn' }> {
  const type = typeof task === 'object' && task !== null ? readProperty(task, 'type') : task;
  if (typeof type !== 'string') throw new TypeError('spawn needs a task definition, or the type of one');
  const { key, ...others } = options ?? {};
  if (key !== undefined && !(typeof key === 'string' && key.length > 0 && key.length <= MOST_KEY_CHARS)) {
    throw new TypeError(`key must be a text of 1 to ${MOST_KEY_CHARS} characters`);
  }
  const plain = readPlain({ ...others, type, input });
  if ('fault' in plain) {
    const { pointer, detail } = plain.fault;
    throw new TypeError(`the child cannot be sent: ${pointer} ${detail}`);
  }
  const call = Uint8Array.from(encodeCbor(plain.value));
  return { kind: 'spawn', key: key === undefined ? `#${position()}` : `=${key}`, call };
}
