// The workflow of a task that is a step: what it needs, and what waits for it.

import type { Task } from './api-types.d.ts';
import type { Workflow, WorkflowStep } from './api-workflow-types.d.ts';
import { toShortId } from './format.ts';
import { Card, Chip } from './parts.tsx';
import { linkToTask, linkToWorkflow } from './place.ts';
import { useResource } from './resource.ts';
import { WorkflowState } from './workflows.tsx';

/** Beats between two readings. */
const BEATS = 3;

export function OfWorkflow({ of: { id, step } }: { readonly of: NonNullable<Task['workflow']> }) {
  const { data } = useResource<Workflow>(`workflows/${id}?results=false`, BEATS);
  const own = data?.steps.find((one) => one.step === step);
  const needs = data?.steps.filter((one) => own?.needs.includes(one.step)) ?? [];
  const dependents = data?.steps.filter((one) => one.needs.includes(step)) ?? [];
  return (
    <Card title="Workflow" aside={data === undefined ? undefined : <WorkflowState of={data} />}>
      <p>
        The step <b>{step}</b> of <a href={linkToWorkflow(id)}>{data?.name ?? `workflow ${toShortId(id)}`}</a>
      </p>
      <StepList title="Needs" of={needs} />
      <StepList title="Needed by" of={dependents} />
    </Card>
  );
}

const SHOWN = 12;

function StepList({ title, of }: { readonly title: string; readonly of: readonly WorkflowStep[] }) {
  if (of.length === 0) return null;
  return (
    <div class="step-list">
      <h3>{title}</h3>
      <ul>
        {of.slice(0, SHOWN).map(({ step, task, state }) => (
          <li key={step}>
            <a href={linkToTask(task)}>{step}</a> <Chip state={state} />
          </li>
        ))}
        {of.length > SHOWN ? <li class="muted">and {of.length - SHOWN} more</li> : undefined}
      </ul>
    </div>
  );
}
