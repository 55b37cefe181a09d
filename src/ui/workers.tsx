// Live workers: what each runs and serves, and until when its lease holds.

import type { ComponentChildren } from 'preact';
import { callApi } from './api.ts';
import type { Worker } from './api-types.d.ts';
import { plural, toCount } from './format.ts';
import { Meter } from './meter.tsx';
import { Action, Card, Chip, Code, Table, Time } from './parts.tsx';
import { linkToQueue, linkToWorker } from './place.ts';
import { type Fleet, may } from './shared.ts';
import { ofWorkers, slotsOf, WithFleet } from './with-fleet.tsx';

export function WorkersScreen() {
  return <WithFleet show={(fleet) => <Workers fleet={fleet} />} />;
}

function Workers({ fleet }: { readonly fleet: Fleet }) {
  const groups = byName(fleet.workers);
  const workers = ofWorkers(fleet.workers);
  const { busy, slots } = slotsOf(workers);
  const versions = new Set(fleet.workers.map(({ version }) => version));
  return (
    <>
      <header class="screen-head">
        <h1>Workers</h1>
        <p class="muted">
          {`${plural(byName(workers).length, 'live worker')}, ${toCount(busy)} of ${plural(slots, 'slot')} busy. A worker is live while it renews its lease.`}
        </p>
      </header>
      {groups.length === 0 ? (
        <Card title="No worker is alive" tone="warn">
          <p>Tasks wait until there is one. Start it on any machine that reaches Redis:</p>
          <Code text="APP_TYPE=worker REDIS_URL=redis://… npm start" />
        </Card>
      ) : (
        <Card>
          <Table
            label="Workers"
            heads={[
              'Worker',
              'Queues',
              'Slots busy',
              'Lease ends',
              'Started',
              'Version',
              'Types',
              ...(may('admin') ? ['-Actions'] : []),
            ]}
          >
            {groups.map((group) => (
              <Row key={group[0].worker} group={group} hasOthers={versions.size > 1} />
            ))}
          </Table>
        </Card>
      )}
      <Lost workers={fleet.lost} />
    </>
  );
}

function Lost({ workers }: { readonly workers: Fleet['lost'] }) {
  if (workers.length === 0) return null;
  return (
    <Card title="Lost in the last five minutes" tone="warn">
      <p>
        They were not heard of any more: killed, out of memory, or cut off from Redis. What they held has gone
        back to its queue.
      </p>
      <Table label="Lost workers" heads={['Worker', 'Queue', 'Lease ran out', 'Tasks given back', 'Version']}>
        {workers.map((one) => (
          <tr key={`${one.worker} ${one.queue}`} data-row>
            <td>
              <Name of={one} />
            </td>
            <td>
              <a href={linkToQueue(one.queue)}>{one.queue}</a>
            </td>
            <td>
              <Time at={one.leaseUntil} />
            </td>
            <td>{toCount(one.held)}</td>
            <td>{one.version ?? '–'}</td>
          </tr>
        ))}
      </Table>
    </Card>
  );
}

/** The queues of one worker, one item each. */
type Group = readonly [Worker, ...Worker[]];

function byName(workers: readonly Worker[]): readonly Group[] {
  const groups = new Map<string, Group>();
  for (const one of workers) {
    const before = groups.get(one.worker);
    groups.set(one.worker, before ? [...before, one] : [one]);
  }
  return [...groups.values()];
}

function Row({ group, hasOthers }: { readonly group: Group; readonly hasOthers: boolean }) {
  const [{ worker, concurrency = 0, threads, startedAt, version, types, leaseUntil }] = group;
  const { busy } = slotsOf(group);
  const state = stateOf(group);
  return (
    <tr data-row>
      <td>
        <Name of={group[0]} isLive>
          {state === 'working' ? undefined : (
            <Chip state={state === 'quiet' ? 'paused' : 'warn'}>{state}</Chip>
          )}
        </Name>
      </td>
      <td>
        {group.map(({ queue }, at) => (
          <span key={queue}>
            {at === 0 ? '' : ', '}
            <a href={linkToQueue(queue)}>{queue}</a>
          </span>
        ))}
      </td>
      <td>
        <Meter value={busy} of={concurrency} label={`${busy} of ${concurrency} slots busy`} />
        <span class="muted">
          {busy} of {concurrency}
          {threads === undefined || threads === 0 || threads === concurrency
            ? ''
            : `, ${plural(threads, 'thread')}`}
        </span>
      </td>
      <td>
        <Time at={leaseUntil} />
      </td>
      <td>
        <Time at={startedAt} />
      </td>
      <td>{hasOthers ? <Chip state="warn">{version ?? 'unknown'}</Chip> : (version ?? '–')}</td>
      <td class="cut" title={types?.join(', ')}>
        {types === undefined ? '–' : types.join(', ')}
      </td>
      {may('admin') ? (
        <td class="row-end">
          {isServer(group) ? undefined : <Orders worker={worker} name={nameOf(group[0])} state={state} />}
        </td>
      ) : undefined}
    </tr>
  );
}

/** Where it runs, and its name; the name alone when it has not said where. */
function Name({
  of,
  isLive,
  children,
}: {
  readonly of: Named;
  readonly isLive?: boolean;
  readonly children?: ComponentChildren;
}) {
  return (
    <>
      {isLive === true ? (
        <a href={linkToWorker(of.worker)}>
          <b>{nameOf(of)}</b>
        </a>
      ) : (
        <b>{nameOf(of)}</b>
      )}{' '}
      {children}
      {of.host === undefined ? undefined : (
        <>
          <br />
          <code class="muted">{of.worker}</code>
        </>
      )}
    </>
  );
}

type Named = Pick<Worker, 'worker' | 'host' | 'pid'>;

export function nameOf({ worker, host, pid }: Named): string {
  return host === undefined ? worker : `${host}:${String(pid)}`;
}

/** The deliveries of a server go on as long as it does. */
export function isServer(group: readonly Worker[]): boolean {
  return ofWorkers(group).length === 0;
}

/** One that is quiet in some of its queues alone still works. */
export function stateOf(group: readonly Worker[]): Worker['state'] {
  if (group.some(({ state }) => state === 'stopping')) return 'stopping';
  return group.every(({ state }) => state === 'quiet') ? 'quiet' : 'working';
}

/** What a worker can be told. */
export function Orders({
  worker,
  name,
  state,
  after,
}: {
  readonly worker: string;
  readonly name: string;
  readonly state: Worker['state'];
  /** Called when it was told. */
  readonly after?: () => void;
}) {
  const tell = (verb: string): Promise<unknown> =>
    callApi('POST', `workers/${encodeURIComponent(worker)}/${verb}`);
  if (state === 'stopping') return null;
  const then = after === undefined ? {} : { after };
  return (
    <div class="actions">
      {state === 'quiet' ? (
        <Action label="Resume" about={name} done={`${name} goes on`} run={() => tell('resume')} {...then} />
      ) : (
        <Action
          label="Quiet"
          about={name}
          done={`${name} claims nothing more`}
          run={() => tell('quiet')}
          {...then}
        />
      )}
      <Action
        label="Stop"
        about={name}
        tone="danger"
        done={`${name} ends once nothing runs there`}
        confirm={`${name} claims nothing more, and its program ends once nothing runs there. Whatever started it may start another one.`}
        run={() => tell('stop')}
        {...then}
      />
    </div>
  );
}
