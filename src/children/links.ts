// Tells parents of the ends of their children, and has the children of a parent that was cancelled cancelled. All of it may be done twice.

import type { Redis } from 'ioredis';
import { encodeCbor } from '../protocol/cbor.ts';
import { disownChild, markOfChild, readChildren } from '../store/children.ts';
import { createInspector } from '../store/inspector.ts';
import { homeOf, placeOf } from '../store/keys.ts';
import type { OutboxEntry } from '../store/outbox.ts';
import { childSource } from '../protocol/source.ts';
import { type Completion, completeSources } from '../store/waits.ts';
import { asNeed, errorOfEnd } from '../workflows/error-of-end.ts';

/** @param ends of children, and who has made each @throws Error of ioredis */
export async function tellParents(
  client: Redis,
  queue: string,
  ends: readonly { readonly entry: OutboxEntry; readonly parent: string }[],
): Promise<void> {
  const completions = ends.map(({ entry, parent }): Completion => {
    const end = asNeed(entry);
    const { id, state, result } = end;
    const value = state === 'succeeded' ? result : encodeCbor(errorOfEnd(end));
    return { id: parent, source: childSource(id), word: state as Completion['word'], value };
  });
  await completeSources(client, homeOf(queue), completions);
}

/**
 * Cancels the children of a task that have not ended.
 * @returns queues to whose outbox that has appended
 * @throws Error of ioredis; Error when one of them is on its way to another queue: again later
 */
export async function cancelChildren(
  client: Redis,
  queue: string,
  parent: string,
): Promise<readonly string[]> {
  const place = placeOf(queue, parent);
  const mark = markOfChild(place, parent);
  const children = await readChildren(client, place, parent);
  const appendedTo = new Set<string>();

  async function disown(of: string, id: string): Promise<string> {
    const { word, appended } = await disownChild(client, homeOf(of), id, mark);
    if (appended > 0) appendedTo.add(of);
    if (word === 'moved') throw new Error('a child is on its way to another queue');
    return word;
  }

  for (const { id, queue: of, word } of children) {
    if (word !== 'open' || (await disown(of, id)) !== 'unknown') continue;
    // It is not where it was made: it may have been moved.
    const found = await createInspector(client).task(id);
    if (found) await disown(found.queue, id);
  }
  return [...appendedTo];
}
