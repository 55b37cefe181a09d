// Schedules: when they tick, what they made last, and their switches.

import { useState } from 'preact/hooks';
import { callApi } from './api.ts';
import type { Items, Schedule } from './api-types.d.ts';
import { plural, toDuration, toLocal } from './format.ts';
import { Action, Card, Chip, Code, Empty, Loading, ProblemBox, Table, Time } from './parts.tsx';
import { linkTo, linkToQueue, linkToTask } from './place.ts';
import { useResource } from './resource.ts';
import { ScheduleForm } from './schedule-form.tsx';
import { may } from './shared.ts';
import { NoRead } from './with-fleet.tsx';

export function SchedulesScreen() {
  return may('read') ? <Schedules /> : <NoRead />;
}

const EXAMPLE = `curl -X PUT ${new URL('../v1/schedules/morning', import.meta.url).href} \\
  -H 'content-type: application/json' \\
  -d '{"cron":"0 6 * * *","timeZone":"Europe/Berlin","type":"add","input":{"one":1,"two":2}}'`;

/** What the form is about: a schedule, or a new one. */
type Edited = Schedule | 'new' | undefined;

function Schedules() {
  const { data, problem, reload } = useResource<Items<Schedule>>('schedules', 3);
  const [edited, edit] = useState<Edited>();
  const close = (): void => edit(undefined);
  return (
    <>
      <header class="screen-head">
        <h1>Schedules</h1>
        <p class="muted">Each tick makes one task, or starts one workflow, for the whole fleet.</p>
        {edited === undefined && may('admin') ? (
          <button type="button" class="primary" onClick={() => edit('new')}>
            New schedule…
          </button>
        ) : undefined}
      </header>
      {edited === undefined ? undefined : (
        <ScheduleForm
          key={edited === 'new' ? '' : `${edited.queue} ${edited.name}`}
          schedule={edited === 'new' ? undefined : edited}
          close={close}
          onDone={() => {
            close();
            reload();
          }}
        />
      )}
      {data === undefined ? (
        problem ? (
          <ProblemBox problem={problem} retry={reload} />
        ) : (
          <Loading />
        )
      ) : (
        <List schedules={data.items} reload={reload} edit={edit} />
      )}
    </>
  );
}

interface ListProps {
  readonly reload: () => void;
  readonly edit: (schedule: Schedule) => void;
}

function List({ schedules, reload, edit }: ListProps & { readonly schedules: readonly Schedule[] }) {
  if (schedules.length === 0) {
    return (
      <Card>
        <Empty title="There is no schedule yet">
          <p>This one sends a task every morning at six in Berlin:</p>
        </Empty>
        <Code text={EXAMPLE} />
      </Card>
    );
  }
  return (
    <Card>
      <Table label="Schedules" heads={['Schedule', 'When', 'Next', 'Last', 'Runs', '-Actions']}>
        {schedules.map((one) => (
          <Row key={`${one.queue} ${one.name}`} schedule={one} reload={reload} edit={edit} />
        ))}
      </Table>
    </Card>
  );
}

interface RowProps extends ListProps {
  readonly schedule: Schedule;
}

function Row({ schedule, reload, edit }: RowProps) {
  const { name, queue, paused = false, next, last, skipped, fault } = schedule;
  const [first, ...later] = next;
  return (
    <tr data-row>
      <td class="wraps">
        <b>{name}</b> {paused ? <Chip state="paused">paused</Chip> : undefined}
        {fault === undefined ? undefined : <Chip state="dead">cannot be read</Chip>}
        <br />
        {fault === undefined ? (
          <>
            in <a href={linkToQueue(queue)}>{queue}</a>
          </>
        ) : (
          <span class="fault">{fault}</span>
        )}
      </td>
      <td>{whenOf(schedule)}</td>
      <td>
        <Next first={first} later={later} />
      </td>
      <td>
        {last === undefined ? (
          <span class="muted">never</span>
        ) : (
          <a href={linkToLast(last)}>
            <Time at={last.due} />
          </a>
        )}
        {skipped === undefined ? undefined : <div class="muted">{plural(skipped.count, 'tick')} skipped</div>}
      </td>
      <td>{startOf(schedule)}</td>
      <td class="row-end">
        {may('admin') ? <Buttons schedule={schedule} reload={reload} edit={edit} /> : undefined}
      </td>
    </tr>
  );
}

function linkToLast({ task, workflow }: NonNullable<Schedule['last']>): string {
  return workflow === undefined ? linkToTask(task ?? '') : linkTo(['workflows', workflow]);
}

/** What its ticks start. */
function startOf({ type, workflow }: Schedule) {
  if (workflow) {
    const steps = plural(Object.keys(workflow.tasks).length, 'step');
    return workflow.name === undefined ? `workflow of ${steps}` : `${workflow.name} (workflow of ${steps})`;
  }
  return type === undefined ? '–' : <a href={linkTo(['types', type])}>{type}</a>;
}

/** The first of the next runs, and behind it the others. */
function Next({ first, later }: { readonly first: string | undefined; readonly later: readonly string[] }) {
  if (first === undefined || later.length === 0) return <Time at={first} />;
  return (
    <details class="next-runs">
      <summary>
        <Time at={first} />
      </summary>
      <ol>
        {[first, ...later].map((at) => (
          <li key={at}>
            <time dateTime={at}>{toLocal(at)}</time>
          </li>
        ))}
      </ol>
    </details>
  );
}

function whenOf({ cron, everyMs, timeZone }: Schedule) {
  if (cron !== undefined) {
    return (
      <>
        <code>{cron}</code>
        <br />
        <span class="muted">{timeZone ?? 'UTC'}</span>
      </>
    );
  }
  return everyMs === undefined ? '–' : `every ${toDuration(everyMs)}`;
}

function Buttons({ schedule, reload, edit }: RowProps) {
  const { name, queue, paused = false, fault } = schedule;
  const path = (verb: string): string =>
    `schedules/${encodeURIComponent(name)}${verb}?queue=${encodeURIComponent(queue)}`;
  const verb = paused ? 'resume' : 'pause';
  return (
    <div class="actions">
      {fault === undefined ? (
        <>
          <Action
            label="Run now"
            about={name}
            done={schedule.workflow ? `${name} has started a workflow` : `${name} has made a task`}
            run={() => callApi('POST', path('/run'))}
            after={reload}
          />
          <button type="button" aria-label={`Edit ${name}`} onClick={() => edit(schedule)}>
            Edit…
          </button>
          <Action
            label={paused ? 'Resume' : 'Pause'}
            about={name}
            done={paused ? `${name} goes on` : `${name} is paused`}
            run={() => callApi('POST', path(`/${verb}`))}
            after={reload}
          />
        </>
      ) : undefined}
      <Action
        label="Delete"
        about={name}
        tone="danger"
        done={`${name} is deleted`}
        confirm={`“${name}” ticks no more. What it made stays.`}
        run={() => callApi('DELETE', path(''))}
        after={reload}
      />
    </div>
  );
}
