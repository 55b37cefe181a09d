// One endpoint of webhooks: its switches, and what came of the latest attempts to reach it.

import { useState } from 'preact/hooks';
import { callApi } from './api.ts';
import type { DeliveryAttempt, Items, WebhookEndpoint } from './api-types.d.ts';
import { Resend } from './follows.tsx';
import { plural, toDuration, toLocal, toShortId } from './format.ts';
import { Copy } from './copy.tsx';
import { Action, Card, Chip, Empty, Facts, Loading, ProblemBox, Table, Time } from './parts.tsx';
import { go, linkTo, linkToTask } from './place.ts';
import { useResource } from './resource.ts';
import { may } from './shared.ts';
import { WebhookForm } from './webhook-form.tsx';
import { EndpointState, NewSecret } from './webhooks.tsx';
import { NoAdmin } from './with-fleet.tsx';

export function WebhookScreen({ id }: { readonly id: string }) {
  return may('admin') ? <OneEndpoint id={id} /> : <NoAdmin what="webhooks and their secrets" />;
}

function OneEndpoint({ id }: { readonly id: string }) {
  const path = `webhooks/${encodeURIComponent(id)}`;
  const { data: endpoint, problem, reload } = useResource<WebhookEndpoint>(path, 2);
  const [isEdited, setEdited] = useState(false);
  const [secret, setSecret] = useState<string>();
  if (endpoint === undefined) {
    if (problem?.status === 404) return <Unknown />;
    return problem ? <ProblemBox problem={problem} retry={reload} /> : <Loading />;
  }
  return (
    <>
      <header class="screen-head">
        <h1>
          {endpoint.url} <EndpointState endpoint={endpoint} />
        </h1>
        <Buttons endpoint={endpoint} edit={() => setEdited(true)} setSecret={setSecret} reload={reload} />
      </header>
      {secret === undefined ? undefined : <NewSecret secret={secret} close={() => setSecret(undefined)} />}
      {endpoint.disabled === undefined ? undefined : (
        <Card title="Nothing is sent to it" tone="warn">
          <p>
            {endpoint.disabled.reason}, <Time at={endpoint.disabled.at} />. Ends of tasks meanwhile are told
            to nobody.
          </p>
        </Card>
      )}
      {isEdited ? (
        <WebhookForm
          endpoint={endpoint}
          close={() => setEdited(false)}
          onDone={() => {
            setEdited(false);
            reload();
          }}
        />
      ) : undefined}
      <About endpoint={endpoint} />
      <Deliveries path={path} endpoint={endpoint} />
    </>
  );
}

function Unknown() {
  return (
    <Empty isScreen title="There is no such endpoint">
      <a href={linkTo(['webhooks'])}>All endpoints</a>
    </Empty>
  );
}

function About({
  endpoint: { id, states, kinds, types, queues, createdAt, oldSecretUntil },
}: {
  readonly endpoint: WebhookEndpoint;
}) {
  return (
    <Card title="About">
      <Facts
        of={[
          [
            'Id',
            <>
              <code>{id}</code> <Copy text={id} />
            </>,
          ],
          ['Is told of', `${states?.join(', ') ?? 'every end'} (${kinds?.join(', ') ?? 'task'})`],
          ['Types', types?.join(', ') ?? 'all'],
          ['Queues', queues?.join(', ') ?? 'all'],
          ['Registered', <Time at={createdAt} />],
          [
            'Old secret',
            oldSecretUntil === undefined ? undefined : <Time at={oldSecretUntil} prefix="signs until " />,
          ],
        ]}
      />
    </Card>
  );
}

function Buttons({
  endpoint,
  edit,
  setSecret,
  reload,
}: {
  readonly endpoint: WebhookEndpoint;
  readonly edit: () => void;
  readonly setSecret: (secret: string) => void;
  readonly reload: () => void;
}) {
  const { id, url, states, kinds, types, queues, disabled } = endpoint;
  const path = `webhooks/${encodeURIComponent(id)}`;
  const definition = { url, states, kinds, types, queues };
  return (
    <div class="actions">
      <button type="button" onClick={edit}>
        Change…
      </button>
      {disabled === undefined ? (
        <Action
          label="Disable"
          done="Nothing is sent to it any more"
          confirm="Nothing is sent to it until it is enabled again. What ends meanwhile is not told later."
          run={() => callApi('PUT', path, { ...definition, disabled: true })}
          after={reload}
        />
      ) : (
        <Action
          label="Enable"
          tone="primary"
          done="It is sent to again"
          run={() => callApi('PUT', path, { ...definition, disabled: false })}
          after={reload}
        />
      )}
      {disabled === undefined ? (
        <Action
          label="Send a test"
          done="A test is on its way"
          run={() => callApi('POST', `${path}/test`)}
          after={reload}
        />
      ) : undefined}
      <Action
        label="Rotate secret"
        done="It has a new secret"
        confirm="For a day both secrets sign: the receiver takes the new one in that time."
        run={async () => {
          const { secret } = await callApi<{ readonly secret: string }>('POST', `${path}/rotate`);
          setSecret(secret);
        }}
        after={reload}
      />
      <Action
        label="Delete"
        tone="danger"
        done="It is deleted"
        confirm="What waits to be delivered to it fails. Its log is removed."
        run={async () => {
          await callApi('DELETE', path);
          go(linkTo(['webhooks']));
        }}
      />
    </div>
  );
}

function Deliveries({ path, endpoint }: { readonly path: string; readonly endpoint: WebhookEndpoint }) {
  const { data, problem, reload } = useResource<Items<DeliveryAttempt>>(`${path}/deliveries`);
  if (data === undefined) return problem ? <ProblemBox problem={problem} retry={reload} /> : <Loading />;
  const failed = data.items.filter((one) => !isDelivered(one)).length;
  // The latest attempt of a delivery stands first.
  const latest = new Set<string>();
  const isLatest = ({ delivery }: DeliveryAttempt): boolean =>
    !latest.has(delivery) && Boolean(latest.add(delivery));
  return (
    <Card
      title="Deliveries"
      aside={
        <span class="muted">
          {data.items.length === 0
            ? ''
            : `${plural(failed, 'failure')} in the latest ${plural(data.items.length, 'attempt')}`}
        </span>
      }
    >
      {data.items.length === 0 ? (
        <Empty title="Nothing was sent yet">
          <p>
            It is told of tasks that were accepted after it was registered. A test says whether it can be
            reached.
          </p>
        </Empty>
      ) : (
        <Table label="Deliveries" heads={['Answer', 'Event', 'Task', 'When', '#Took', '-Resend']}>
          {data.items.map((one) => (
            <tr key={`${one.delivery} ${one.at}`} data-row>
              <td class="cut" title={one.error}>
                <Chip state={isDelivered(one) ? 'succeeded' : 'dead'}>{one.status ?? 'no answer'}</Chip>{' '}
                {isDelivered(one) ? undefined : <span class="muted">{one.error}</span>}
              </td>
              <td>{one.event}</td>
              <td>
                <Subject of={one} />
              </td>
              <td>
                <a href={linkToTask(one.delivery)} title={toLocal(one.at)}>
                  <Time at={one.at} />
                </a>
              </td>
              <td class="number">{toDuration(one.durationMs)}</td>
              <td class="row-end">
                {isLatest(one) && endpoint.disabled === undefined ? (
                  <Resend endpoint={endpoint.id} delivery={one.delivery} after={reload} />
                ) : undefined}
              </td>
            </tr>
          ))}
        </Table>
      )}
    </Card>
  );
}

/** What has ended. */
function Subject({ of: { task, workflow, batch } }: { readonly of: DeliveryAttempt }) {
  const id = task ?? workflow ?? batch;
  if (id === undefined) return <span class="muted">a test</span>;
  const ofRecord = workflow === undefined ? 'batches' : 'workflows';
  return (
    <a class="mono" href={task === undefined ? linkTo([ofRecord, id]) : linkToTask(id)} title={id}>
      {toShortId(id)}
    </a>
  );
}

function isDelivered({ status = 0 }: DeliveryAttempt): boolean {
  return status >= 200 && status < 300;
}
