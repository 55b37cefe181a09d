// What is wrong with a fleet, as its API shows it: for the sentence of `status`, and for `doctor`.

import type { QueueView, ReadinessView, WorkerView } from '../client/shapes.ts';
import { TASK_STATES } from '../protocol/task-state.ts';

/** `bad`: something is broken or lost. `warn`: somebody should look. */
export interface Finding {
  readonly level: 'warn' | 'bad';
  readonly text: string;
  readonly fix: string;
}

/** One line of what was looked at. */
export interface Check {
  /** What was looked at, in a word. */
  readonly name: string;
  readonly level: 'ok' | Finding['level'];
  readonly text: string;
  readonly fix?: string;
}

/** An end of a followed task waits a moment for its relay, but not for so long. */
const OUTBOX_PATIENCE_MS = 60_000;

export function findingsOfQueue(view: QueueView): Finding[] {
  const { queue, counts, paused, workers, malformed, outbox } = view;
  const findings: Finding[] = [];
  const difference = differenceOf(view);
  const waiting = counts['ready'] ?? 0;
  // Those that somebody has looked at, and has put off, are no news.
  const dead = (counts['dead'] ?? 0) - (view.deadIgnored ?? 0);
  if (difference !== 0) {
    findings.push({
      level: 'bad',
      text: `${queue}: accepted tasks and states differ by ${difference}`,
      fix: 'report it: this never happens by itself. Were keys of this queue changed by hand?',
    });
  }
  if (waiting > 0 && workers === 0) {
    findings.push({
      level: 'bad',
      text: `${queue}: ${waiting} ready, and no worker serves it`,
      fix: `popfleet worker --queues ${queue}`,
    });
  }
  if (paused) {
    const why = view.pausedReason === undefined ? '' : `: ${view.pausedReason}`;
    findings.push({
      level: 'warn',
      text: `${queue} is paused${waiting > 0 ? `, ${waiting} ready` : ''}${why}`,
      fix: `popfleet queue resume ${queue}`,
    });
  }
  if (dead > 0) {
    findings.push({
      level: 'warn',
      text: `${queue}: ${dead} dead`,
      fix: `popfleet dead list --queue ${queue}`,
    });
  }
  if (malformed > 0) {
    findings.push({
      level: 'warn',
      text: `${queue}: ${malformed} messages are none of popfleet`,
      fix: `look who pushes to pf:{${queue}}:ready:*; they are kept in pf:{${queue}}:malformed`,
    });
  }
  if (outbox.oldestMs > OUTBOX_PATIENCE_MS) {
    findings.push({
      level: 'warn',
      text: `${queue}: ${outbox.length} ends wait to be followed, the oldest for ${Math.round(outbox.oldestMs / 1_000)} s`,
      fix: 'is Redis full, or another release at work? The log of the servers has the reason',
    });
  }
  return findings;
}

export function findingsOfWorkers(workers: readonly WorkerView[], version: string): Finding[] {
  const others = new Set(workers.flatMap((worker) => worker.version ?? []).filter((one) => one !== version));
  if (others.size === 0) return [];
  return [
    {
      level: 'warn',
      text: `workers run ${[...others].toSorted().join(', ')}, and this is ${version}`,
      fix: 'bring the fleet to one release when a deploy has ended',
    },
  ];
}

/** 0 unless tasks were lost: what was accepted is in a state, or was removed. */
export function differenceOf({ counts }: QueueView): number {
  const there = [...TASK_STATES, 'removed'].reduce((sum, state) => sum + (counts[state] ?? 0), 0);
  return (counts['accepted'] ?? 0) - there;
}

/** What keeps a server from taking tasks. */
export function readinessFinding({ status, checks }: ReadinessView): Finding | undefined {
  if (status === 'ready') return undefined;
  const failed = checks
    .filter(({ ok }) => !ok)
    .map(({ name, detail }) => (detail ? `${name}: ${detail}` : name));
  return {
    level: 'bad',
    text: `the server takes no tasks (${failed.join('; ')})`,
    fix: 'docs/operations.md says what each word means; the log of the server has the reason',
  };
}
