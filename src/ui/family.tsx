// The task that has made this one, and the tasks that its handler has made.

import type { Task } from './api-types.d.ts';
import { plural } from './format.ts';
import { Card, Chip } from './parts.tsx';
import { linkToQueue, linkToTask } from './place.ts';

const MOST_SHOWN = 100;

export function Family({ task: { parent, children = [] } }: { readonly task: Task }) {
  if (parent === undefined && children.length === 0) return null;
  const more = children.length - MOST_SHOWN;
  return (
    <Card
      title={children.length === 0 ? 'Made by another task' : plural(children.length, 'child', 'children')}
    >
      {parent === undefined ? undefined : (
        <p>
          Made by <a href={linkToTask(parent.task)}>a task</a> of{' '}
          <a href={linkToQueue(parent.queue)}>{parent.queue}</a>
        </p>
      )}
      {children.length === 0 ? undefined : (
        <ul>
          {children.slice(0, MOST_SHOWN).map(({ task, queue, state }) => (
            <li key={task}>
              <a href={linkToTask(task)}>
                <code>{task}</code>
              </a>{' '}
              in <a href={linkToQueue(queue)}>{queue}</a>{' '}
              {state === 'unfinished' ? <span class="muted">has not ended</span> : <Chip state={state} />}
            </li>
          ))}
        </ul>
      )}
      {more > 0 ? <p class="muted">and {more} more</p> : undefined}
    </Card>
  );
}
