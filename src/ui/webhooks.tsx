// Endpoints of webhooks: who is told when tasks have ended, and whether that works.

import { useState } from 'preact/hooks';
import { callApi } from './api.ts';
import type { Items, Secrets, WebhookEndpoint } from './api-types.d.ts';
import { Action, Card, Chip, Code, Empty, Facts, Loading, ProblemBox, Table, Time } from './parts.tsx';
import { linkTo } from './place.ts';
import { useResource } from './resource.ts';
import { may } from './shared.ts';
import { WebhookForm } from './webhook-form.tsx';
import { NoAdmin } from './with-fleet.tsx';

export function WebhooksScreen() {
  return may('admin') ? <Webhooks /> : <NoAdmin what="webhooks and their secrets" />;
}

function Webhooks() {
  const { data, problem, reload } = useResource<Items<WebhookEndpoint>>('webhooks', 2);
  const [isNew, setNew] = useState(false);
  const [secret, setSecret] = useState<string>();
  return (
    <>
      <header class="screen-head">
        <h1>Webhooks</h1>
        <p class="muted">Who is told when tasks have ended.</p>
        {isNew ? undefined : (
          <button type="button" class="primary" id="new-webhook" onClick={() => setNew(true)}>
            New endpoint…
          </button>
        )}
      </header>
      {secret === undefined ? undefined : <NewSecret secret={secret} close={() => setSecret(undefined)} />}
      {isNew ? (
        <WebhookForm
          close={() => setNew(false)}
          onDone={(given) => {
            setNew(false);
            setSecret(given);
            reload();
          }}
        />
      ) : undefined}
      {data === undefined ? (
        problem ? (
          <ProblemBox problem={problem} retry={reload} />
        ) : (
          <Loading />
        )
      ) : (
        <List endpoints={data.items} />
      )}
      <SharedSecret />
    </>
  );
}

function List({ endpoints }: { readonly endpoints: readonly WebhookEndpoint[] }) {
  if (endpoints.length === 0) {
    return (
      <Card>
        <Empty title="There is no endpoint yet">
          <p>
            An endpoint gets a signed message (Standard Webhooks) for each task that ends, and again until it
            answers with a 2xx status.
          </p>
        </Empty>
      </Card>
    );
  }
  return (
    <Card>
      <Table label="Endpoints" heads={['Endpoint', 'Sent', 'Ends', 'Types', 'Queues', 'Registered']}>
        {endpoints.map((one) => (
          <tr key={one.id} data-row>
            <td class="cut" title={one.url}>
              <a href={linkTo(['webhooks', one.id])}>
                <b>{one.url}</b>
              </a>
            </td>
            <td>
              <EndpointState endpoint={one} />
            </td>
            <td>
              {one.states?.join(', ') ?? 'all'}
              {one.kinds === undefined ? undefined : ` (${one.kinds.join(', ')})`}
            </td>
            <td class="cut">{one.types?.join(', ') ?? 'all'}</td>
            <td class="cut">{one.queues?.join(', ') ?? 'all'}</td>
            <td>
              <Time at={one.createdAt} />
            </td>
          </tr>
        ))}
      </Table>
    </Card>
  );
}

export function EndpointState({ endpoint: { disabled } }: { readonly endpoint: WebhookEndpoint }) {
  if (disabled === undefined) return <Chip state="succeeded">enabled</Chip>;
  return <Chip state="paused">disabled</Chip>;
}

/** It is shown this once: the server never says it again. */
export function NewSecret({ secret, close }: { readonly secret: string; readonly close: () => void }) {
  return (
    <Card title="The secret of this endpoint" tone="warn">
      <p>Give it to the receiver, which checks the signatures with it. It is shown this once.</p>
      <Code text={secret} copyLabel="Copy secret" />
      <div class="actions">
        <button type="button" onClick={close}>
          I have it
        </button>
      </div>
    </Card>
  );
}

/** It signs what calls and types ask for with an address of their own. */
function SharedSecret() {
  const [secrets, setSecrets] = useState<Secrets['items']>();
  const show = async (method: 'GET' | 'POST'): Promise<void> => {
    const path = method === 'GET' ? 'webhooks/secret' : 'webhooks/secret/rotate';
    setSecrets((await callApi<Secrets>(method, path)).items);
  };
  return (
    <Card
      title="Webhooks of calls and types"
      aside={
        <div class="actions">
          {secrets === undefined ? (
            <Action label="Show secret" done="It is shown below" run={() => show('GET')} />
          ) : undefined}
          <Action
            label="Rotate"
            about="the shared secret"
            done="There is a new secret"
            confirm="For a day both secrets sign: the receivers take the new one in that time."
            run={() => show('POST')}
          />
        </div>
      }
    >
      <p class="muted">
        A call, or the definition of a type, may name an address of its own (<code>webhook</code>). One secret
        of this fleet signs all of these.
      </p>
      {secrets === undefined ? undefined : (
        <Facts
          of={secrets.map(({ secret, until }) => [
            until === undefined ? 'Newest' : 'Signs as well',
            <>
              <code>{secret}</code> {until === undefined ? undefined : <Time at={until} prefix="until " />}
            </>,
          ])}
        />
      )}
    </Card>
  );
}
