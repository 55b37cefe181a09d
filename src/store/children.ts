// Children: tasks that the handler of another one has made (src/children/). Their parent has each as a source (lua/lib/waits.lua).

import type { Redis } from 'ioredis';
import { keyOf, nameOf, type Place } from './keys.ts';
import { runScript } from './scripts.ts';
import { childSource, readChildSource } from '../protocol/source.ts';
import type { SourceEnd } from './waits.ts';

/** A child as its parent knows it. */
export interface ChildOf {
  readonly id: string;
  /** In which it was made. */
  readonly queue: string;
  /** How it has ended for its parent: the first end counts. `open`: it has not, as far as the parent was told. */
  readonly word: Exclude<SourceEnd['word'], 'late'>;
}

/** The mark with which a child is accepted: it keeps a second one from being accepted as long as its parent has it as a source. */
export function markOfChild(parentPlace: Place, parent: string): string {
  return `${nameOf(parentPlace)} ${parent}`;
}

/** How its parent has asked for a child: what it is, and its queue. */
export function writeChildDigest(digest: string, queue: string): string {
  return `${digest}:${queue}`;
}

/** In the order in which they were made. @throws Error of ioredis */
export async function readChildren(client: Redis, place: Place, parent: string): Promise<readonly ChildOf[]> {
  const text = (await client.hget(keyOf(place, 'sources'), parent)) ?? '';
  const made = text.split(' ').flatMap((one) => {
    const [source = '', digest = ''] = one.split('=');
    const id = readChildSource(source);
    return id === undefined ? [] : [{ id, queue: digest.slice(digest.indexOf(':') + 1) }];
  });
  if (made.length === 0) return [];
  const fields = made.map(({ id }) => `${parent} ${childSource(id)}`);
  const values = await client.hmgetBuffer(keyOf(place, 'source-values'), ...fields);
  return made.map(({ id, queue }, at) => ({ id, queue, word: wordOf(values[at]) }));
}

function wordOf(value: Buffer | null | undefined): ChildOf['word'] {
  if (!value) return 'gone';
  if (value.length === 0) return 'open';
  return value.subarray(0, value.indexOf(0x20)).toString() as ChildOf['word'];
}

/**
 * Cancels a child that has not ended; one that is not there is not accepted there any more.
 * @param place where it was made, or was moved to
 * @returns what came of it (lua/cancel.lua), and how many entries were appended to the outbox of the place
 * @throws Error of ioredis
 */
export async function disownChild(
  client: Redis,
  place: Place,
  id: string,
  mark: string,
): Promise<{ readonly word: string; readonly appended: number }> {
  const [word, appended] = (await runScript(client, 'cancel', place, [id, mark])) as [Buffer, number];
  return { word: String(word), appended };
}
