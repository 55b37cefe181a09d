// Tags of a task.

import { linkToTasks } from './search.ts';

/** Each leads to the tasks that have it. */
export function Tags({ tags, queue }: { readonly tags: readonly string[]; readonly queue: string }) {
  return (
    <span class="tags">
      {tags.map((tag) => (
        <a key={tag} class="chip is-cancelled" href={linkToTasks({ queue, tag })}>
          {tag}
        </a>
      ))}
    </span>
  );
}
