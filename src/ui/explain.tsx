// Why a task does not run: the reasons of the server, the first of which is the one to act on, with what can be done here.

import { callApi } from './api.ts';
import type { Explanation, Reason, Task } from './api-types.d.ts';
import { Action, Card, Mark, Time } from './parts.tsx';
import { linkTo } from './place.ts';
import { useResource } from './resource.ts';
import { may } from './shared.ts';

/** @param count grows when the task has changed */
export function Explain({
  task,
  count,
  reload,
}: {
  readonly task: Task;
  readonly count: number;
  readonly reload: () => void;
}) {
  const { data } = useResource<Explanation>(`tasks/${encodeURIComponent(task.id)}/explain`, 1, count);
  const blocking = data?.reasons.filter((reason) => reason.blocking) ?? [];
  // A dead task has its error on the page, and a button above.
  if (blocking.length === 0 || task.state === 'dead') return null;
  return (
    <Card
      title={
        <span id="explain" tabIndex={-1}>
          Why it does not run
        </span>
      }
      tone="warn"
    >
      <ul class="concerns">
        {blocking.map((reason) => (
          <li key={reason.code}>
            <Mark state="warn" />
            <span>
              {reason.message}{' '}
              {reason.since === undefined ? undefined : (
                <span class="muted">
                  since <Time at={reason.since} />
                </span>
              )}
              <Fix reason={reason} task={task} reload={reload} />
            </span>
          </li>
        ))}
      </ul>
    </Card>
  );
}

function Fix({
  reason,
  task,
  reload,
}: {
  readonly reason: Reason;
  readonly task: Task;
  readonly reload: () => void;
}) {
  const { queue } = task;
  switch (reason.code) {
    case 'queue-paused':
      return may('admin') ? (
        <Action
          label="Resume"
          tone="primary"
          done={`${queue} goes on`}
          run={() => callApi('POST', `queues/${encodeURIComponent(queue)}/resume`)}
          after={reload}
        />
      ) : null;
    case 'no-live-worker':
      return <code>APP_TYPE=worker QUEUES={queue} REDIS_URL=redis://… npm start</code>;
    case 'type-unknown-to-workers':
      return <a href={linkTo(['types'])}>Which workers know which types</a>;
    case 'behind-others':
      return <a href={linkTo(['tasks'], { queue, state: 'running' })}>What runs now</a>;
    default:
      return reason.fix === undefined ? null : <span class="muted">{reason.fix}</span>;
  }
}
