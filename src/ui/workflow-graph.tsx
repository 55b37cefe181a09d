// The graph of a workflow: its steps from left to right, with their states as they change. A step leads to its task. Only what is
// in sight is drawn, so a thousand steps cost no more than fifty.

import type { RefObject } from 'preact';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { WorkflowStep } from './api-workflow-types.d.ts';
import { focusStep, moveBy } from './graph-keys.ts';
import { type Edge, layOut, type Layout, NODE, type Point } from './layers.ts';
import { Card } from './parts.tsx';
import { hasFailed, StepNode } from './step-node.tsx';

/** What of the graph is in sight, in pixels of the screen. */
interface Window {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

const ZOOMS = [0.15, 0.25, 0.4, 0.6, 0.8, 1] as const;
/** Below this a name cannot be read. */
const SMALLEST_WITH_TEXT = 0.4;
const SMALLEST_AT_FIRST = 0.6;
const USUAL_SIZE = 0.8;
/** What is drawn beyond what is in sight, in pixels of the screen. */
const MARGIN = 300;
const HIGHEST = 560;

/** @param shape changes when other steps, or other needs, are to be laid out */
function useLayout(steps: readonly WorkflowStep[]): Layout {
  const shape = steps.map(({ step, needs }) => `${step}<${needs.join(',')}`).join(' ');
  return useMemo(() => layOut(steps.map(({ step, needs }) => ({ name: step, needs }))), [shape]);
}

/** What of a box is in sight; and what is called when that may have changed. */
function useWindow(
  box: RefObject<HTMLElement | null>,
  inputs: readonly unknown[],
): readonly [Window, () => void] {
  const [seen, look] = useState<Window>({ left: 0, top: 0, width: 1_200, height: HIGHEST });
  const watch = (): void => {
    const { current: element } = box;
    if (!element) return;
    const { scrollLeft: left, scrollTop: top, clientWidth: width, clientHeight: height } = element;
    look({ left, top, width, height });
  };
  useEffect(() => {
    watch();
    addEventListener('resize', watch);
    return () => removeEventListener('resize', watch);
  }, inputs);
  return [seen, watch];
}

/** The largest size at which all of it is to be seen; the smallest one when there is none. */
function fitting(element: HTMLElement, layout: Layout): number {
  const wanted = Math.min(element.clientWidth / layout.width, HIGHEST / layout.height);
  return ZOOMS.findLast((one) => one <= wanted) ?? ZOOMS[0];
}

/** The size at first: all of it, unless that cannot be read well. */
function atFirst(element: HTMLElement, layout: Layout): number {
  const fits = fitting(element, layout);
  return fits < SMALLEST_AT_FIRST ? USUAL_SIZE : fits;
}

export function WorkflowGraph({ steps }: { readonly steps: readonly WorkflowStep[] }) {
  const layout = useLayout(steps);
  const box = useRef<HTMLDivElement>(null);
  const [zoom, setZoom] = useState(1);
  const [current, setCurrent] = useState<string>();
  const [seen, watch] = useWindow(box, [zoom, layout]);
  useLayoutEffect(() => {
    if (box.current) setZoom(atFirst(box.current, layout));
  }, [layout]);
  const goTo = (name: string): void => {
    const place = layout.nodes.get(name);
    const { current: element } = box;
    if (!place || !element) return;
    element.scrollTo({
      left: (place.x + NODE.width / 2) * zoom - element.clientWidth / 2,
      top: (place.y + NODE.height / 2) * zoom - element.clientHeight / 2,
    });
    focusStep(element, name, setCurrent);
  };
  const at = ZOOMS.findIndex((one) => one === zoom);
  const first = steps[0]?.step;
  const active = current !== undefined && layout.nodes.has(current) ? current : first;
  const concern = concernOf(steps);
  return (
    <Card
      title="Graph"
      aside={
        <div class="graph-tools" role="group" aria-label="Graph">
          {concern === undefined ? undefined : (
            <button type="button" class="small" onClick={() => goTo(concern.step)}>
              Go to what {concern.word}
            </button>
          )}
          <ZoomButton label="Smaller" text="−" to={ZOOMS[at - 1]} set={setZoom} />
          <ZoomButton label="Larger" text="+" to={ZOOMS[at + 1]} set={setZoom} />
          <button
            type="button"
            class="small"
            title={`${Math.round(zoom * 100)} %`}
            onClick={() => box.current && setZoom(fitting(box.current, layout))}
          >
            Fit
          </button>
        </div>
      }
    >
      <div
        ref={box}
        class={zoom < SMALLEST_WITH_TEXT ? 'graph is-small' : 'graph'}
        role="region"
        aria-label="Graph of the steps. Arrow keys go along the needs; the table below has the same."
        tabIndex={-1}
        onScroll={watch}
        onKeyDown={(event) => moveBy(event, layout, steps, active, setCurrent)}
      >
        <svg
          width={Math.ceil(layout.width * zoom)}
          height={Math.ceil(layout.height * zoom)}
          viewBox={`0 0 ${layout.width} ${layout.height}`}
          role="group"
          aria-label="Steps"
        >
          <Drawing
            layout={layout}
            steps={steps}
            zoom={zoom}
            active={active}
            seen={seen}
            isChosen={current !== undefined}
            choose={setCurrent}
          />
        </svg>
      </div>
      <Legend steps={steps} />
    </Card>
  );
}

/** What the lines mean, as far as there are such. */
function Legend({ steps }: { readonly steps: readonly WorkflowStep[] }) {
  const isSoft = steps.some(({ onNeedFailed, needs }) => onNeedFailed !== 'fail' && needs.length > 0);
  return (
    <p class="muted small-text">
      A step needs those on its left. Green: the need is met; red: it has failed; grey: it is open.
      {isSoft
        ? ' A dashed line ends nothing when its need fails: the step runs anyway, or is cancelled.'
        : ''}
    </p>
  );
}

/** The first step that somebody may want to look at. */
function concernOf(
  steps: readonly WorkflowStep[],
): { readonly step: string; readonly word: string } | undefined {
  const failed = steps.find(hasFailed);
  if (failed) return { step: failed.step, word: 'failed' };
  const running = steps.find(({ state }) => state === 'running');
  if (running) return { step: running.step, word: 'runs' };
  const next = steps.find(({ state }) => state === 'ready' || state === 'scheduled');
  return next && { step: next.step, word: 'is next' };
}

function ZoomButton({
  label,
  text,
  to,
  set,
}: {
  readonly label: string;
  readonly text: string;
  readonly to: number | undefined;
  readonly set: (zoom: number) => void;
}) {
  return (
    <button
      type="button"
      class="small"
      aria-label={label}
      disabled={to === undefined}
      onClick={() => to !== undefined && set(to)}
    >
      {text}
    </button>
  );
}

interface DrawingProps {
  readonly layout: Layout;
  readonly steps: readonly WorkflowStep[];
  readonly zoom: number;
  /** The step that the tab key reaches. */
  readonly active: string | undefined;
  /** Whether somebody has chosen it: then its edges stand out. */
  readonly isChosen: boolean;
  readonly seen: Window;
  readonly choose: (step: string | undefined) => void;
}

function Drawing({ layout, steps, zoom, active, isChosen, seen, choose }: DrawingProps) {
  const [from, to] = [(seen.left - MARGIN) / zoom, (seen.left + seen.width + MARGIN) / zoom];
  const [above, below] = [(seen.top - MARGIN) / zoom, (seen.top + seen.height + MARGIN) / zoom];
  const isSeen = (points: readonly Point[]): boolean => {
    const xs = points.map(({ x }) => x);
    const ys = points.map(({ y }) => y);
    return (
      Math.max(...xs) >= from && Math.min(...xs) <= to && Math.max(...ys) >= above && Math.min(...ys) <= below
    );
  };
  const byName = new Map(steps.map((step) => [step.step, step]));
  const joins = (edge: Edge): boolean => isChosen && (edge.from === active || edge.to === active);
  const edges = layout.edges.filter(({ points }) => isSeen(points));
  return (
    <>
      <g class="edges" aria-hidden="true">
        {edges
          .toSorted((one, other) => Number(joins(one)) - Number(joins(other)))
          .map((edge) => (
            <path
              key={`${edge.from} ${edge.to}`}
              d={pathOf(edge.points)}
              class={`edge ${edgeClass(byName.get(edge.from), byName.get(edge.to))}${joins(edge) ? ' is-near' : ''}`}
            />
          ))}
      </g>
      {steps.map((step) => {
        const place = layout.nodes.get(step.step);
        const isActive = step.step === active;
        const corners = place && [place, { x: place.x + NODE.width, y: place.y + NODE.height }];
        if (!corners || !(isActive || isSeen(corners))) return null;
        return (
          <StepNode
            key={step.step}
            step={step}
            place={place}
            isActive={isActive}
            hasText={zoom >= SMALLEST_WITH_TEXT}
            choose={choose}
          />
        );
      })}
    </>
  );
}

/** Bends of a cubic curve, level at both ends. */
function pathOf(points: readonly Point[]): string {
  return points
    .map(({ x, y }, at) => {
      const before = points[at - 1];
      if (!before) return `M${x} ${y}`;
      const middle = (before.x + x) / 2;
      return `C${middle} ${before.y} ${middle} ${y} ${x} ${y}`;
    })
    .join('');
}

/** Whether the need is met, has failed, or is still open. */
function edgeClass(source: WorkflowStep | undefined, target: WorkflowStep | undefined): string {
  const policy = target?.onNeedFailed === 'fail' ? '' : ' is-soft';
  if (source?.state === 'succeeded') return `is-met${policy}`;
  return source?.state === 'dead' || source?.state === 'cancelled'
    ? `is-failed${policy}`
    : `is-open${policy}`;
}
