// Failures of one cause: what happened, and what can be done about all its tasks at once.

import { useState } from 'preact/hooks';
import type { ErrorGroup, ErrorGroups, Task } from './api-types.d.ts';
import { Choice } from './choice.tsx';
import { Bulk } from './bulk.tsx';
import { Export } from './export.tsx';
import { attemptsOf, DeadCount, IgnoredUntil, versionsOf } from './failures.tsx';
import { Ignore } from './ignore.tsx';
import { plural, toCount, toShortId } from './format.ts';
import { Copy } from './copy.tsx';
import { Card, Empty, Facts, Pending, Time } from './parts.tsx';
import { linkTo, linkToQueue, linkToTask } from './place.ts';
import { useResource } from './resource.ts';
import { may, useShared } from './shared.ts';
import { lastDay, Sparkline } from './sparkline.tsx';
import { ErrorText } from './task-error.tsx';
import { NoRead } from './with-fleet.tsx';

export function DeadGroupScreen({ fingerprint }: { readonly fingerprint: string }) {
  const groups = useResource<ErrorGroups>(`errors/${encodeURIComponent(fingerprint)}`, 2);
  const { data } = groups;
  if (!may('read')) return <NoRead />;
  if (groups.problem?.status === 404 && data === undefined) {
    return (
      <Empty isScreen title="There is no such group of failures">
        <a href={linkTo(['dead'])}>All dead letters</a>
      </Empty>
    );
  }
  const [first] = data?.items ?? [];
  if (!data || !first) return <Pending of={groups} />;
  return (
    <>
      <header class="screen-head">
        <h1>
          {first.name} <small class="muted">{first.type ?? 'several types'}</small>
        </h1>
        <div class="actions">
          <Copy text={toMarkdown(first, data)} label="Copy for an issue" />
        </div>
      </header>
      <Card>
        <p class="error-message">{first.message}</p>
        <Facts
          isWide
          of={[
            ['Dead now', <b key="dead">{toCount(data.dead)}</b>],
            ['In all', toCount(data.total)],
            ['Last 24 hours', <Sparkline key="hours" of={lastDay(data.items)} />],
            ['Attempts used', attemptsOf(data.items)],
            ['Versions affected', versionsOf(data.items)],
            ['First seen', <Time key="first" at={data.firstSeenAt} />],
            ['Last seen', <Time key="last" at={data.lastSeenAt} />],
            ['Fingerprint', <code key="print">{fingerprint}</code>],
          ]}
        />
      </Card>
      {data.items.map((group) => (
        <OfQueue key={group.queue} group={group} />
      ))}
      <Sample key={first.sample} id={first.sample} />
    </>
  );
}

/** Without any payload: it may go anywhere. */
function toMarkdown({ name, message, type = 'several types' }: ErrorGroup, group: ErrorGroups): string {
  const { dead, total, firstSeenAt, lastSeenAt } = group;
  return `**${name}** in \`${type}\`\n\n> ${message}\n\n${dead} dead now, ${total} in all; first seen ${firstSeenAt}, last seen ${lastSeenAt}.\n`;
}

function OfQueue({ group }: { readonly group: ErrorGroup }) {
  const { queue, dead } = group;
  return (
    <Card title={<a href={linkToQueue(queue)}>{queue}</a>} aside={<DeadCount group={group} word="dead" />}>
      {dead === 0 ? (
        <p class="muted">None of its tasks is dead now: they were run again, or removed.</p>
      ) : may('admin') ? (
        <Acts group={group} />
      ) : (
        <>
          <p class="muted">A key with the scope “admin” may run them again, move or delete them.</p>
          <div class="actions">
            <Export group={group} />
          </div>
        </>
      )}
      {group.ignored ? (
        <p>
          <IgnoredUntil group={group} />
        </p>
      ) : undefined}
      {may('admin') ? (
        <div class="actions">
          <Ignore group={group} />
        </div>
      ) : undefined}
    </Card>
  );
}

function Acts({ group }: { readonly group: ErrorGroup }) {
  const { queue, fingerprint, dead, name } = group;
  const { fleet } = useShared();
  const others = (fleet?.queues ?? []).map((one) => one.queue).filter((one) => one !== queue);
  const [to, setTo] = useState('');
  const [canary, setCanary] = useState({ first: '10', stopAfterErrors: '1', thenRest: false });
  const filter = { queue, state: 'dead', fingerprint };
  const which = `dead tasks of “${queue}” that failed with ${name}`;
  return (
    <div class="actions">
      <Bulk
        label="Try some first"
        about={`in ${queue}`}
        tone="primary"
        words={`Runs a few of the ${plural(dead, 'task')} again and watches how they end. It stops as soon as too many have failed again.`}
        call={{
          action: 'retry',
          filter,
          first: wholeOf(canary.first),
          stopAfterErrors: wholeOf(canary.stopAfterErrors),
          ...(canary.thenRest ? { thenRest: true } : {}),
        }}
      >
        <Canary value={canary} set={setCanary} />
      </Bulk>
      <Bulk
        label="Retry all"
        about={`in ${queue}`}
        words={`Runs the ${which} again, each with all its attempts.`}
        call={{ action: 'retry', filter }}
      />
      {others.length === 0 ? undefined : (
        <Bulk
          label="Move"
          about={`from ${queue}`}
          words={`Moves the ${which} to another queue, where they run again.`}
          call={{ action: 'move', filter, ...(to === '' ? {} : { to }) }}
          isReady={to !== ''}
        >
          <Choice
            label="To the queue"
            value={to}
            choices={['', ...others]}
            empty="choose"
            isField
            set={setTo}
          />
        </Bulk>
      )}
      <Bulk
        label="Delete"
        about={`in ${queue}`}
        tone="danger"
        words={`Removes the ${which}, with their inputs and errors. This cannot be undone.`}
        call={{ action: 'delete', filter }}
      />
      <Export group={group} />
    </div>
  );
}

interface CanaryValue {
  readonly first: string;
  readonly stopAfterErrors: string;
  readonly thenRest: boolean;
}

function Canary({ value, set }: { readonly value: CanaryValue; readonly set: (value: CanaryValue) => void }) {
  const field = (name: 'first' | 'stopAfterErrors', label: string) => (
    <label class="field">
      {label}
      <input
        inputMode="numeric"
        value={value[name]}
        onInput={(event) => set({ ...value, [name]: event.currentTarget.value })}
      />
    </label>
  );
  return (
    <>
      <div class="pair">
        {field('first', 'How many first')}
        {field('stopAfterErrors', 'Stop when so many fail')}
      </div>
      <label class="check">
        <input
          type="checkbox"
          checked={value.thenRest}
          onChange={(event) => set({ ...value, thenRest: event.currentTarget.checked })}
        />
        Go on with the others when these succeed
      </label>
    </>
  );
}

/** What is no number goes as 0: the server says what it has to be. */
function wholeOf(text: string): number {
  return Number.parseInt(text, 10) || 0;
}

/** One of its tasks, with the whole error. */
function Sample({ id }: { readonly id: string }) {
  const { data } = useResource<Task>(`tasks/${encodeURIComponent(id)}`, 0);
  const error = data?.error ?? data?.errors.at(-1)?.error;
  return (
    <Card
      title="A sample"
      aside={
        <a class="mono" href={linkToTask(id)} title={id}>
          {toShortId(id)}
        </a>
      }
    >
      {error === undefined ? (
        <p class="muted">The task is not there any more.</p>
      ) : (
        <ErrorText error={error} />
      )}
    </Card>
  );
}
