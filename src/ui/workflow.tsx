// One workflow, live: how far it is, its graph, and its steps as a table.

import { useState } from 'preact/hooks';
import { callApi } from './api.ts';
import type { Workflow, WorkflowStep } from './api-workflow-types.d.ts';
import { plural, toCount, toDuration, toShortId } from './format.ts';
import { Action, Card, Chip, Empty, Facts, IdLine, Mark, Pending, Table, Ticking, Time } from './parts.tsx';
import { linkTo, linkToQueue, linkToTask } from './place.ts';
import { ErrorCell, RecordCard, StaleRecord } from './records.tsx';
import { useResource } from './resource.ts';
import { may } from './shared.ts';
import { NoRead } from './with-fleet.tsx';
import { hasFailed, percentOf } from './step-node.tsx';
import { WorkflowGraph } from './workflow-graph.tsx';
import { tookOf, WorkflowState } from './workflows.tsx';

export function WorkflowScreen({ id }: { readonly id: string }) {
  return may('read') ? <LiveWorkflow id={id} /> : <NoRead />;
}

/** Beats between two readings: a workflow of many steps costs more to read, and one that has ended changes only when it is retried. */
const BEATS = { usual: 1, large: 3, over: 5 } as const;
const LARGE = 200;

function LiveWorkflow({ id }: { readonly id: string }) {
  const [beats, setBeats] = useState<number>(BEATS.usual);
  const resource = useResource<Workflow>(`workflows/${encodeURIComponent(id)}?results=false`, beats);
  const { data: workflow, problem, reload } = resource;
  if (workflow === undefined)
    return problem?.status === 404 ? <Unknown id={id} /> : <Pending of={resource} />;
  const wanted = isOver(workflow) ? BEATS.over : workflow.steps.length > LARGE ? BEATS.large : BEATS.usual;
  if (wanted !== beats) setBeats(wanted);
  const isGone = problem?.status === 404;
  return (
    <>
      <header class="screen-head">
        <h1>
          {workflow.name ?? `Workflow ${toShortId(id)}`} <WorkflowState of={workflow} />
        </h1>
        {isGone ? undefined : <Buttons workflow={workflow} reload={reload} />}
        <IdLine of={id} />
      </header>
      <StaleRecord problem={problem} />
      <About workflow={workflow} />
      <Failures steps={workflow.steps} />
      <WorkflowGraph steps={workflow.steps} />
      <Steps steps={workflow.steps} />
    </>
  );
}

function isOver({ state }: Workflow): boolean {
  return state === 'succeeded' || state === 'dead' || state === 'cancelled';
}

function Unknown({ id }: { readonly id: string }) {
  return (
    <Empty isScreen title="There is no such workflow">
      <p>
        <code>{id}</code>
      </p>
      <p>The record of one that has ended is kept for as long as the fleet is set to keep finished tasks.</p>
      <a href={linkTo(['workflows'])}>All workflows</a>
    </Empty>
  );
}

function Buttons({ workflow, reload }: { readonly workflow: Workflow; readonly reload: () => void }) {
  if (!may('admin')) return null;
  const { id, state, steps, cancelling } = workflow;
  const path = `workflows/${id}`;
  const kept = steps.filter((step) => step.state === 'succeeded').length;
  return (
    <div class="actions">
      {state === 'dead' || state === 'cancelled' ? (
        <Action
          id="retry"
          label="Retry from here"
          tone="primary"
          done="It runs again"
          confirm={`${plural(steps.length - kept, 'step')} run again, under their ids. ${plural(kept, 'step')} that succeeded ${kept === 1 ? 'does' : 'do'} not: what they brought is used.`}
          run={() => callApi('POST', `${path}/retry`)}
          after={reload}
        />
      ) : undefined}
      {isOver(workflow) || cancelling === true ? undefined : (
        <Action
          id="cancel"
          label="Cancel"
          tone="danger"
          done="Its steps are being cancelled"
          confirm="Steps that wait will not run, and those that run are asked to stop."
          run={() => callApi('POST', `${path}/cancel`)}
          after={reload}
        />
      )}
    </div>
  );
}

/** In the order in which a step passes them. */
const ORDER = ['succeeded', 'dead', 'cancelled', 'running', 'ready', 'scheduled', 'waiting'];

function countsOf(steps: readonly WorkflowStep[]): readonly (readonly [state: string, count: number])[] {
  const counts = new Map(ORDER.map((state) => [state, 0]));
  for (const { state } of steps) counts.set(state, (counts.get(state) ?? 0) + 1);
  return [...counts].filter(([, count]) => count > 0);
}

function About({ workflow }: { readonly workflow: Workflow }) {
  const { steps, counts, queue, generation, schedule, acceptedAt, startedAt, endedAt } = workflow;
  return (
    <RecordCard
      title={`${toCount(counts.ended)} of ${plural(counts.total, 'step')} ended`}
      label="Steps by state"
      counts={countsOf(steps)}
    >
      <Facts
        isWide
        of={[
          ['Home queue', <a href={linkToQueue(queue)}>{queue}</a>],
          ['Schedule', schedule && <a href={linkTo(['schedules'])}>{schedule.name}</a>],
          ['Accepted', <Time at={acceptedAt} />],
          ['Started', startedAt === undefined ? undefined : <Time at={startedAt} />],
          [
            endedAt === undefined ? 'Runs for' : 'Took',
            startedAt === undefined ? undefined : endedAt === undefined ? (
              <Ticking since={startedAt} />
            ) : (
              tookOf(workflow)
            ),
          ],
          ['Ended', endedAt === undefined ? undefined : <Time at={endedAt} />],
          ['Try', generation > 1 ? generation : undefined],
        ]}
      />
    </RecordCard>
  );
}

const FAILURES_SHOWN = 5;

/** What went wrong by itself; what only waited for that is left out. */
function Failures({ steps }: { readonly steps: readonly WorkflowStep[] }) {
  const failed = steps.filter(hasFailed);
  if (failed.length === 0) return null;
  return (
    <Card title={`${plural(failed.length, 'step')} failed`} tone="bad">
      <ul class="concerns">
        {failed.slice(0, FAILURES_SHOWN).map(({ step, task, error }) => (
          <li key={step}>
            <Mark state="dead" />
            <span>
              <a href={linkToTask(task)}>{step}</a>: {error?.name}: {error?.message}
            </span>
          </li>
        ))}
      </ul>
      {failed.length > FAILURES_SHOWN ? (
        <p class="muted">and {toCount(failed.length - FAILURES_SHOWN)} more in the table below</p>
      ) : undefined}
    </Card>
  );
}

const ROWS_SHOWN = 100;
/** Of many steps, those that are looked for come first. */
const URGENCY = ['dead', 'running', 'ready', 'scheduled', 'cancelled', 'waiting', 'succeeded'];

function inOrder(steps: readonly WorkflowStep[]): readonly WorkflowStep[] {
  if (steps.length <= ROWS_SHOWN) return steps;
  const urgency = (step: WorkflowStep): number => (hasFailed(step) ? -1 : URGENCY.indexOf(step.state));
  return steps.toSorted((one, other) => urgency(one) - urgency(other));
}

function Steps({ steps }: { readonly steps: readonly WorkflowStep[] }) {
  const [text, setText] = useState('');
  const [isAll, setAll] = useState(false);
  const words = text.toLowerCase().split(' ').filter(Boolean);
  const found = inOrder(steps).filter(({ step, state, type, queue }) =>
    words.every((word) => [step, state, type, queue].some((one) => one.toLowerCase().includes(word))),
  );
  const states = new Map(steps.map(({ step, state }) => [step, state]));
  const shown = isAll ? found : found.slice(0, ROWS_SHOWN);
  return (
    <Card
      title="Steps"
      aside={
        <input
          class="find-step"
          type="search"
          aria-label="Find steps by name, state, type or queue"
          placeholder="Find a step"
          autocomplete="off"
          spellcheck={false}
          value={text}
          onInput={({ currentTarget }) => setText(currentTarget.value)}
        />
      }
    >
      {found.length === 0 ? <p class="muted">No step matches.</p> : undefined}
      {found.length === 0 ? undefined : (
        <Table label="Steps" heads={['State', 'Step', 'Type', 'Queue', 'Needs', 'Took', 'Error']}>
          {shown.map((step) => (
            <Row key={step.step} step={step} states={states} />
          ))}
        </Table>
      )}
      {shown.length < found.length ? (
        <p>
          <button type="button" class="small" onClick={() => setAll(true)}>
            Show all {toCount(found.length)}
          </button>
        </p>
      ) : undefined}
    </Card>
  );
}

function Row({
  step,
  states,
}: {
  readonly step: WorkflowStep;
  readonly states: ReadonlyMap<string, string>;
}) {
  const { step: name, state, task, type, queue, error, startedAt, finishedAt } = step;
  const percent = percentOf(step);
  return (
    <tr data-row>
      <td>
        <Chip state={state} />{' '}
        {percent === undefined ? undefined : <span class="muted">{Math.round(percent)} %</span>}
      </td>
      <td class="cut" title={name}>
        <a href={linkToTask(task)}>{name}</a>
      </td>
      <td>{type}</td>
      <td>
        <a href={linkToQueue(queue)}>{queue}</a>
      </td>
      <td class="cut">
        <Needs step={step} states={states} />
      </td>
      <td>
        {startedAt === undefined ? (
          '–'
        ) : finishedAt === undefined ? (
          state === 'running' ? (
            <Ticking since={startedAt} />
          ) : (
            '–'
          )
        ) : (
          toDuration(Date.parse(finishedAt) - Date.parse(startedAt))
        )}
      </td>
      <ErrorCell of={error} />
    </tr>
  );
}

const NEEDS_SHOWN = 4;

/** Those that are not met come first, and say so. */
function Needs({
  step: { needs, state },
  states,
}: {
  readonly step: WorkflowStep;
  readonly states: ReadonlyMap<string, string>;
}) {
  if (needs.length === 0) return <span class="muted">–</span>;
  const open = needs.filter((need) => states.get(need) !== 'succeeded');
  if (state !== 'waiting' || open.length === 0) {
    return <span title={needs.join(', ')}>{listed(needs)}</span>;
  }
  return (
    <span title={`waits for ${open.join(', ')}`}>
      <span class="muted">waits for</span> <b>{listed(open)}</b>
    </span>
  );
}

function listed(names: readonly string[]): string {
  const more = names.length - NEEDS_SHOWN;
  return `${names.slice(0, NEEDS_SHOWN).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
