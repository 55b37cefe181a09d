// The arrow keys of the graph of a workflow.

import type { WorkflowStep } from './api-workflow-types.d.ts';
import { followersOf, type Layout, type Placed } from './layers.ts';

/** Left and right lead along the needs, up and down within the layer. */
export function moveBy(
  event: KeyboardEvent,
  layout: Layout,
  steps: readonly WorkflowStep[],
  active: string | undefined,
  choose: (step: string) => void,
): void {
  const here = active === undefined ? undefined : layout.nodes.get(active);
  if (!here || event.ctrlKey || event.metaKey || event.altKey) return;
  const target = neighbour(event.key, here, layout, steps);
  if (target === undefined) return;
  event.preventDefault();
  focusStep(event.currentTarget as HTMLElement, target, choose);
}

/** Chooses a step, and gives it the focus. @param region that has the graph */
export function focusStep(region: HTMLElement, name: string, choose: (step: string) => void): void {
  choose(name);
  // It may not be drawn yet.
  requestAnimationFrame(() => {
    const node = Array.from(region.querySelectorAll<SVGAElement>('[data-step]')).find(
      (one) => one.dataset['step'] === name,
    );
    node?.focus();
    node?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  });
}

function neighbour(
  key: string,
  here: Placed,
  { nodes }: Layout,
  steps: readonly WorkflowStep[],
): string | undefined {
  const isBeside = (step: number) => (one: Placed) =>
    one.layer === here.layer && Math.sign(one.rank - here.rank) === step;
  const nearest = (found: readonly Placed[]): string | undefined =>
    found.toSorted((one, other) => Math.abs(one.y - here.y) - Math.abs(other.y - here.y))[0]?.name;
  const placesOf = (names: readonly string[]): readonly Placed[] =>
    names.flatMap((name) => nodes.get(name) ?? []);
  switch (key) {
    case 'ArrowLeft':
      return nearest(placesOf(steps.find(({ step }) => step === here.name)?.needs ?? []));
    case 'ArrowRight': {
      const followers = followersOf(steps.map(({ step, needs }) => ({ name: step, needs })));
      return nearest(placesOf(followers.get(here.name) ?? []));
    }
    case 'ArrowUp':
      return nearest([...nodes.values()].filter(isBeside(-1)));
    case 'ArrowDown':
      return nearest([...nodes.values()].filter(isBeside(1)));
    default:
      return undefined;
  }
}
