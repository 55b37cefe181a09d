// What follows the end of a task: another task, and webhooks with what came of them.

import { callApi } from './api.ts';
import type { Task, TaskWebhook } from './api-types.d.ts';
import { plural } from './format.ts';
import { Action, Card, Chip, Table, Time } from './parts.tsx';
import { linkTo, linkToQueue, linkToTask } from './place.ts';
import { useResource } from './resource.ts';
import { may } from './shared.ts';

const FINISHED = new Set(['succeeded', 'dead', 'cancelled']);

export function Follows({ task: { onEnd, webhooks = [] } }: { readonly task: Task }) {
  if (onEnd === undefined && webhooks.length === 0) return null;
  return (
    <Card title="What follows">
      {onEnd === undefined ? undefined : (
        <p>
          <b>{onEnd.type}</b> in <a href={linkToQueue(onEnd.queue)}>{onEnd.queue}</a>
          {onEnd.task === undefined ? (
            <span class="muted"> is accepted when this task has ended</span>
          ) : (
            <>
              {' '}
              as <a href={linkToTask(onEnd.task)}>this task</a> <StateOf id={onEnd.task} />
            </>
          )}
        </p>
      )}
      {webhooks.length === 0 ? undefined : (
        <Table
          label="Webhooks of this task"
          heads={['To', 'About', 'Delivery', '#Attempts', 'Ended', '-Resend']}
        >
          {webhooks.map((one) => (
            <Webhook key={`${one.endpoint ?? one.url}`} webhook={one} />
          ))}
        </Table>
      )}
    </Card>
  );
}

function StateOf({ id }: { readonly id: string }) {
  const { data, problem } = useResource<Task>(`tasks/${id}`, 2);
  if (data !== undefined) return <Chip state={data.state} />;
  return problem === undefined ? null : <span class="muted">(not accepted yet, or not kept any more)</span>;
}

function Webhook({ webhook }: { readonly webhook: TaskWebhook }) {
  const { endpoint, url, states, delivery } = webhook;
  return (
    <tr>
      <td class="cut" title={url}>
        {endpoint === undefined ? url : <a href={linkTo(['webhooks', endpoint])}>{endpoint}</a>}
      </td>
      <td>{states?.join(', ') ?? 'every end'}</td>
      {delivery === undefined ? (
        <td colSpan={4} class="muted">
          nothing to tell yet
        </td>
      ) : (
        <DeliveryCells delivery={delivery} endpoint={endpoint} />
      )}
    </tr>
  );
}

function DeliveryCells({
  delivery,
  endpoint,
}: {
  readonly delivery: string;
  readonly endpoint: string | undefined;
}) {
  const { data, problem, reload } = useResource<Task>(`tasks/${delivery}`, 2);
  if (data === undefined) {
    return (
      <td colSpan={4} class="muted">
        {problem?.status === 404 ? 'not sent yet, or not kept any more' : '…'}
      </td>
    );
  }
  const { state, attempt, errors, finishedAt, dueAt, error } = data;
  const latest = error ?? errors.at(-1)?.error;
  return (
    <>
      <td class="cut" title={latest?.message}>
        <a href={linkToTask(delivery)}>
          <Chip state={state} />
        </a>{' '}
        {latest === undefined || state === 'succeeded' ? undefined : (
          <span class="muted">{latest.message}</span>
        )}
      </td>
      <td class="number" title={plural(attempt, 'attempt')}>
        {attempt}
      </td>
      <td>{state === 'scheduled' ? <Time at={dueAt} prefix="next " /> : <Time at={finishedAt} />}</td>
      <td class="row-end">
        {endpoint !== undefined && may('admin') && FINISHED.has(state) ? (
          <Resend endpoint={endpoint} delivery={delivery} after={reload} />
        ) : undefined}
      </td>
    </>
  );
}

/** The same message once more, under the same `webhook-id`. */
export function Resend({
  endpoint,
  delivery,
  after,
}: {
  readonly endpoint: string;
  readonly delivery: string;
  readonly after: () => void;
}) {
  return (
    <Action
      label="Resend"
      about={delivery}
      done="It is on its way again"
      run={() => callApi('POST', `webhooks/${endpoint}/deliveries/${delivery}/resend`)}
      after={after}
    />
  );
}
