// One step in the graph of a workflow.

import { serverNow } from './api.ts';
import type { WorkflowStep } from './api-workflow-types.d.ts';
import { toDuration } from './format.ts';
import { NODE, type Placed } from './layers.ts';
import { markOf } from './parts.tsx';
import { linkToTask } from './place.ts';
import { readProgress } from './progress.ts';

/** Characters that fit into a node, about. */
const NAME_CHARS = 19;
const BELOW_CHARS = 25;

function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

export function StepNode({
  step,
  place,
  isActive,
  hasText,
  choose,
}: {
  readonly step: WorkflowStep;
  readonly place: Placed;
  readonly isActive: boolean;
  readonly hasText: boolean;
  readonly choose: (step: string | undefined) => void;
}) {
  const { step: name, state, task, needs } = step;
  const below = belowOf(step);
  const percent = percentOf(step);
  const words = [
    name,
    below.startsWith(state) ? below : `${state}, ${below}`,
    needs.length === 0
      ? ''
      : `needs ${needs.slice(0, 5).join(', ')}${needs.length > 5 ? ` and ${needs.length - 5} more` : ''}`,
  ];
  return (
    <g transform={`translate(${place.x} ${place.y})`}>
      <a
        class={`node is-${state}${state === 'dead' && !hasFailed(step) ? ' is-follow' : ''}`}
        href={linkToTask(task)}
        data-step={name}
        tabindex={isActive ? 0 : -1}
        onFocus={() => choose(name)}
        onMouseEnter={() => choose(name)}
      >
        <title>{words.filter(Boolean).join(', ')}</title>
        <rect class="node-box" width={NODE.width} height={NODE.height} rx="7" />
        <path
          class="node-edge"
          d={`M5 .5A7 7 0 0 0 .5 7V${NODE.height - 7}A7 7 0 0 0 5 ${NODE.height - 0.5}Z`}
        />
        <g aria-hidden="true">
          {hasText ? (
            <>
              <text class="node-mark" x="21" y="20">
                {markOf(state)}
              </text>
              <text class="node-name" x="34" y="20">
                {cut(name, NAME_CHARS)}
              </text>
              <text class="node-below" x="34" y="36">
                {cut(below, BELOW_CHARS)}
              </text>
            </>
          ) : (
            <text class="node-mark is-large" x={NODE.width / 2} y="32">
              {markOf(state)}
            </text>
          )}
        </g>
        {percent === undefined ? undefined : (
          <rect
            class="node-progress"
            x="4"
            y={NODE.height - 3}
            width={((NODE.width - 8) * percent) / 100}
            height="3"
            rx="1.5"
          />
        )}
      </a>
    </g>
  );
}

/** How far its handler is, of a step that runs. */
export function percentOf({ state, progress }: WorkflowStep): number | undefined {
  return state === 'running' ? readProgress(progress)?.percent : undefined;
}

function belowOf(step: WorkflowStep): string {
  const { state, error, startedAt, finishedAt } = step;
  const percent = percentOf(step);
  const end = finishedAt === undefined ? serverNow() : Date.parse(finishedAt);
  const took = startedAt === undefined ? undefined : toDuration(end - Date.parse(startedAt));
  if (state === 'dead' && error !== undefined) return error.name;
  if (state === 'running' && percent !== undefined) return `${Math.round(percent)} % · ${took ?? ''}`;
  if (took !== undefined && state !== 'waiting' && state !== 'ready' && state !== 'scheduled')
    return `${state} · ${took}`;
  return state;
}

/** Whether it is dead by itself, and not because something failed that it needs. */
export function hasFailed({ state, error }: WorkflowStep): boolean {
  return state === 'dead' && error?.name !== 'NeedFailed';
}
