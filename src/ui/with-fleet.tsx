// What screens about the whole fleet share: they are drawn from its numbers, for keys that may see them.

import type { ComponentChildren } from 'preact';
import type { Worker } from './api-types.d.ts';
import { Empty, Loading, ProblemBox } from './parts.tsx';
import { linkTo } from './place.ts';
import { type Fleet, may, useShared } from './shared.ts';

/** Draws a screen once the numbers are there; the last good ones stay while newer ones cannot be read. */
export function WithFleet({ show }: { readonly show: (fleet: Fleet) => ComponentChildren }) {
  const { fleet, outage } = useShared();
  if (!may('read')) return <NoRead />;
  if (fleet !== undefined) return <>{show(fleet)}</>;
  return outage === undefined ? <Loading /> : <ProblemBox problem={outage.problem} />;
}

/** A key that may only send tasks still finds the form. */
export function NoRead() {
  return (
    <Empty isScreen title="Your key may not see tasks and queues">
      <p>This needs a key with the scope “read”.</p>
      {may('enqueue') ? <a href={linkTo(['types'])}>Run a task by hand</a> : undefined}
    </Empty>
  );
}

/** @param what the screen shows */
export function NoAdmin({ what }: { readonly what: string }) {
  return (
    <Empty isScreen title={`Your key may not see ${what}`}>
      <p>This needs a key with the scope “admin”.</p>
    </Empty>
  );
}

/** Without servers, which deliver webhooks and run no tasks of others. */
export function ofWorkers(all: readonly Worker[]): readonly Worker[] {
  return all.filter(({ queue }) => queue !== 'webhooks');
}

/** A worker that serves several queues has its slots once. A worker may hold more tasks than it runs at a moment. */
export function slotsOf(workers: readonly Worker[]): { readonly busy: number; readonly slots: number } {
  const byName = new Map<string, { holds: number; slots: number }>();
  for (const { worker, holds, concurrency = 0 } of workers) {
    const before = byName.get(worker)?.holds ?? 0;
    byName.set(worker, { holds: before + holds, slots: concurrency });
  }
  const all = [...byName.values()];
  return {
    busy: all.reduce((total, { holds, slots }) => total + Math.min(holds, slots), 0),
    slots: all.reduce((total, { slots }) => total + slots, 0),
  };
}
