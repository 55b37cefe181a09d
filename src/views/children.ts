// The tasks that a handler has made, as callers see them with its task, and a task's parent.

import * as v from 'valibot';
import type { ChildOf } from '../store/children.ts';
import { readFollowers, writeLink } from '../store/outbox.ts';
import type { TaskRecord } from '../store/record.ts';
import { named } from './component.ts';

const ParentView = v.object({ task: v.string(), queue: v.string() });
const ChildView = v.object({
  task: v.string(),
  queue: v.pipe(v.string(), v.description('in which it was made')),
  state: v.pipe(
    v.picklist(['succeeded', 'dead', 'cancelled', 'removed', 'unfinished']),
    v.description('how it has ended for this task, whatever became of it later'),
  ),
  links: v.object({ self: v.string() }),
});
type ChildView = v.InferOutput<typeof ChildView>;

export const familyEntries = {
  parent: v.exactOptional(
    v.pipe(ParentView, v.description('the task whose handler has made it, with `context.spawn`')),
  ),
  children: v.exactOptional(
    v.pipe(
      v.array(named('TaskChild', ChildView)),
      v.description('the tasks that its handler has made, with `context.spawn`'),
    ),
  ),
};

/** Whether the handler of a task has made any: then their ends follow its own. */
export function hasChildren({ id, queue, followers = '' }: TaskRecord): boolean {
  return ` ${followers} `.includes(` ${writeLink({ kind: 'children', queue, id })} `);
}

/** @param pathOf the path of a task */
export function familyOf(
  { followers }: TaskRecord,
  children: readonly ChildOf[],
  pathOf: (id: string) => string,
): { parent: v.InferOutput<typeof ParentView> | undefined; children: ChildView[] | undefined } {
  const all = followers === undefined ? [] : readFollowers(followers);
  const link = all.find((one) => one && 'kind' in one && one.kind === 'child');
  const views = children.map(({ id, queue, word }): ChildView => {
    const state = word === 'open' ? 'unfinished' : word === 'gone' ? 'removed' : word;
    return { task: id, queue, state, links: { self: pathOf(id) } };
  });
  return {
    parent: link && 'kind' in link ? { task: link.id, queue: link.queue } : undefined,
    children: views.length === 0 ? undefined : views,
  };
}
