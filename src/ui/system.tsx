// What stands behind the fleet: Redis, the server that answers, the releases of the workers, and whether every queue adds up.

import type { ComponentChildren } from 'preact';
import type { Queue, System } from './api-types.d.ts';
import { Balance, missingOf } from './conservation.tsx';
import { SaveDiagnostics } from './diagnostics.tsx';
import { plural, toBytes, toCount, toDuration } from './format.ts';
import { Meter } from './meter.tsx';
import { Card, Chip, Concerns, Facts, Pending, Table, Time } from './parts.tsx';
import { linkToQueue } from './place.ts';
import { useResource } from './resource.ts';
import { type Fleet, may } from './shared.ts';
import { Stale } from './stale.tsx';
import { NoRead, WithFleet } from './with-fleet.tsx';

const SLOW_MS = 20;
const SKEWED_MS = 2_000;
const FULL_SHARE = 0.9;

export function SystemScreen() {
  if (!may('read')) return <NoRead />;
  return <WithFleet show={(fleet) => <Whole fleet={fleet} />} />;
}

function Whole({ fleet }: { readonly fleet: Fleet }) {
  const system = useResource<System>('system', 2);
  const { data, problem } = system;
  if (data === undefined) return <Pending of={system} />;
  const findings = findingsOf(data, fleet);
  return (
    <>
      <header class="screen-head">
        <h1>System</h1>
        <p class="muted">
          {findings.length === 0 ? 'Nothing to worry about.' : plural(findings.length, 'finding')}
        </p>
        <div class="actions">
          <SaveDiagnostics />
        </div>
      </header>
      <Stale what="This" problem={problem} />
      <Concerns title="Findings" of={findings.map((text) => ({ key: text, text }))} />
      <div class="columns is-even">
        <RedisCard redis={data.redis} />
        <ServerCard system={data} fleet={fleet} />
      </div>
      <Balances queues={fleet.queues} />
      <Limits limits={data.limits} />
    </>
  );
}

function findingsOf({ redis, fault, server }: System, { workers, queues }: Fleet): readonly string[] {
  const { maxmemoryPolicy, maxmemoryBytes, usedMemoryBytes, appendOnly, isSaved, latencyMs, clockAheadMs } =
    redis;
  const versions = versionsOf(workers, server.version);
  const found: (readonly [boolean, string])[] = [
    [fault !== undefined, `This server takes no tasks: ${fault ?? ''}.`],
    [
      maxmemoryPolicy !== '' && maxmemoryPolicy !== 'noeviction',
      `Redis may evict tasks (maxmemory-policy ${maxmemoryPolicy}). Set it to noeviction.`,
    ],
    [
      maxmemoryBytes > 0 && usedMemoryBytes > FULL_SHARE * maxmemoryBytes,
      `Redis has used ${toBytes(usedMemoryBytes)} of ${toBytes(maxmemoryBytes)}: give it more, or keep finished tasks for a shorter time.`,
    ],
    [
      redis.version !== '' && !appendOnly,
      'Redis keeps no append-only file: what it has not saved is lost when it ends. Set appendonly yes.',
    ],
    [!isSaved, 'The latest write of Redis to its disk has failed: look at its log.'],
    [latencyMs > SLOW_MS, `Redis took ${toDuration(latencyMs)} for a command: is it, or the network, busy?`],
    [
      Math.abs(clockAheadMs) > SKEWED_MS,
      `The clocks of Redis and of this server are ${toDuration(Math.abs(clockAheadMs))} apart: keep both in step (NTP).`,
    ],
    [
      versions.length > 1,
      `Servers and workers are of several releases: ${versions.map(([version]) => version).join(', ')}.`,
    ],
    [
      queues.some((queue) => missingOf([queue]) !== 0),
      'A queue does not add up: see below, and keep the logs of its workers.',
    ],
  ];
  return found.filter(([holds]) => holds).map(([, text]) => text);
}

/** Releases of live workers and of this server, with how many there are of each. */
function versionsOf(
  workers: Fleet['workers'],
  ofServer: string,
): readonly (readonly [version: string, count: number])[] {
  const byName = new Map(workers.map(({ worker, version = 'unknown' }) => [worker, version]));
  const counts = new Map<string, number>([[ofServer, 0]]);
  for (const version of byName.values()) counts.set(version, (counts.get(version) ?? 0) + 1);
  return [...counts];
}

function RedisCard({ redis }: { readonly redis: System['redis'] }) {
  const { usedMemoryBytes: used, maxmemoryBytes: most } = redis;
  const memory: ComponentChildren =
    most === 0 ? (
      `${toBytes(used)}, without limit`
    ) : (
      <>
        {toBytes(used)} of {toBytes(most)}
        <Meter value={used} of={most} label={`${toBytes(used)} of ${toBytes(most)} used`} />
      </>
    );
  return (
    <Card
      title={redis.name}
      aside={<Chip state="plain">{redis.version === '' ? 'unknown' : redis.version}</Chip>}
    >
      <Facts
        of={[
          ['Answers in', toFine(redis.latencyMs)],
          ['Memory', memory],
          [
            'When it is full',
            redis.maxmemoryPolicy === 'noeviction' ? 'evicts nothing' : redis.maxmemoryPolicy,
          ],
          ['Append-only file', redis.appendOnly ? 'yes' : 'no'],
          ['Commands', `${toCount(redis.commandsPerSecond)} a second`],
          ['Role', `${redis.role}, ${plural(redis.replicas, 'replica')}`],
          ['Connections', toCount(redis.clients)],
          ['Up for', toDuration(redis.uptimeSeconds * 1_000)],
          ['Clock ahead by', `${redis.clockAheadMs} ms`],
        ]}
      />
    </Card>
  );
}

function toFine(ms: number): string {
  return ms < 1 ? `${ms.toFixed(2)} ms` : `${ms.toFixed(1)} ms`;
}

function ServerCard({
  system: { server, fault },
  fleet,
}: {
  readonly system: System;
  readonly fleet: Fleet;
}) {
  const versions = versionsOf(fleet.workers, server.version).filter(([, count]) => count > 0);
  return (
    <Card
      title="This server"
      aside={
        fault === undefined ? <Chip state="succeeded">takes tasks</Chip> : <Chip state="dead">{fault}</Chip>
      }
    >
      <Facts
        of={[
          ['Release', server.version],
          ['Runs on', `${server.host}, process ${server.pid}`],
          ['Node.js', server.node],
          ['Memory', toBytes(server.memoryBytes)],
          ['Started', <Time at={server.startedAt} />],
          [
            'Workers',
            versions.length === 0
              ? 'none'
              : versions.map(([version, count]) => `${toCount(count)} of ${version}`).join(', '),
          ],
          [
            'More',
            <>
              <a href="../docs">API</a>, <a href="../openapi.json">OpenAPI</a>,{' '}
              <a href="../metrics">metrics</a>
            </>,
          ],
        ]}
      />
    </Card>
  );
}

function Balances({ queues }: { readonly queues: readonly Queue[] }) {
  return (
    <Card title="Nothing is lost">
      <Table
        label="Whether each queue adds up"
        heads={[
          'Queue',
          'Balance',
          '#Accepted',
          '#Unfinished',
          '#Finished',
          '#Removed',
          '#Not tasks',
          '#To follow',
        ]}
      >
        {queues.map(({ queue, counts, malformed, outbox }) => {
          const of = (...states: readonly string[]): number =>
            states.reduce((sum, state) => sum + (counts[state] ?? 0), 0);
          return (
            <tr key={queue} data-row>
              <td>
                <a href={linkToQueue(queue)}>
                  <b>{queue}</b>
                </a>
              </td>
              <td>
                <Balance missing={missingOf([{ counts }])} />
              </td>
              <td class="number">{toCount(of('accepted'))}</td>
              <td class="number">{toCount(of('waiting', 'scheduled', 'ready', 'running', 'moved'))}</td>
              <td class="number">{toCount(of('succeeded', 'dead', 'cancelled'))}</td>
              <td class="number">{toCount(of('removed'))}</td>
              <td class="number">{toCount(malformed)}</td>
              <td class="number">{toCount(outbox.length)}</td>
            </tr>
          );
        })}
      </Table>
    </Card>
  );
}

function Limits({ limits }: { readonly limits: System['limits'] }) {
  return (
    <Card title="Limits of this server">
      <Facts
        isWide
        of={Object.entries(limits).map(([name, value]) => [name, toLimit(name, value)] as const)}
      />
    </Card>
  );
}

function toLimit(name: string, value: number): string {
  if (value === 0) return 'none';
  if (name.endsWith('_BYTES')) return toBytes(value);
  if (name.endsWith('_MS')) return toDuration(value);
  return name.endsWith('_PERCENT') ? `${value} %` : toCount(value);
}
