// Live workers: what each runs and serves, and until when its lease holds.

import type { Worker } from './api-types.d.ts';
import { plural, toCount } from './format.ts';
import { Card, Chip, Code, Meter, Table, Time } from './parts.tsx';
import { linkToQueue } from './place.ts';
import type { Fleet } from './shared.ts';
import { slotsOf, WithFleet } from './with-fleet.tsx';

export function WorkersScreen() {
  return <WithFleet show={(fleet) => <Workers fleet={fleet} />} />;
}

function Workers({ fleet }: { readonly fleet: Fleet }) {
  const groups = byName(fleet.workers);
  const { busy, slots } = slotsOf(fleet.workers);
  const versions = new Set(fleet.workers.map(({ version }) => version));
  return (
    <>
      <header class="screen-head">
        <h1>Workers</h1>
        <p class="muted">
          {`${plural(groups.length, 'live worker')}, ${toCount(busy)} of ${plural(slots, 'slot')} busy. A worker is live while it renews its lease.`}
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
            heads={['Worker', 'Queues', 'Slots busy', 'Lease ends', 'Started', 'Version', 'Types']}
          >
            {groups.map((group) => (
              <Row key={group[0].worker} group={group} hasOthers={versions.size > 1} />
            ))}
          </Table>
        </Card>
      )}
    </>
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
  const [{ worker, host, pid, concurrency = 0, threads, startedAt, version, types, leaseUntil }] = group;
  const { busy } = slotsOf(group);
  return (
    <tr data-row>
      <td>
        <b>{host === undefined ? worker : `${host}:${String(pid)}`}</b>
        <br />
        <code class="muted">{worker}</code>
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
          {threads === undefined || threads === concurrency ? '' : `, ${plural(threads, 'thread')}`}
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
    </tr>
  );
}
