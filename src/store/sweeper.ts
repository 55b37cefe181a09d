// Runs the sweep of a queue: due tasks, lost workers, unclaimed pops, expiry, retention.

import type { Redis } from 'ioredis';
import * as v from 'valibot';
import type { Place } from './keys.ts';
import { runScript } from './scripts.ts';

const QueuesSchema = v.array(v.tuple([v.string(), v.pipe(v.number(), v.integer(), v.minValue(0))]));

export interface SweepSettings {
  readonly leaseMs: number;
  /** Tasks that one sweep handles of each kind at most. */
  readonly slice: number;
  /** A popped message that no worker has claimed is pushed again after this many milliseconds. */
  readonly popGraceMs: number;
  /** Finished tasks are kept this long, unless they have a time of their own. */
  readonly retentionMs: number;
  /** Bytes that the finished tasks of a queue may keep; 0 = without limit. */
  readonly retentionBytes: number;
  /** Longest time between two sweeps. */
  readonly periodMs: number;
  /** Others that sweep the same places go first by this many milliseconds; 0 unless given. */
  readonly lateMs?: number;
}

/** How many tasks each part of a sweep handled. */
interface SweptCounts {
  readonly due: number;
  /** Tasks of lost workers given back. */
  readonly returned: number;
  /** Tasks that lost their third worker and are dead now. */
  readonly poisoned: number;
  /** Messages that were popped and never claimed. */
  readonly repaired: number;
  readonly expired: number;
  readonly removed: number;
}

export interface Swept {
  /** Milliseconds until the next sweep is due; 0 = there is more to do. */
  readonly nextMs: number;
  /** The time of day in Redis, in milliseconds since 1970. */
  readonly now: number;
  readonly counts: SweptCounts;
  /** Ticks that are due. */
  readonly ticks: readonly PlannedTick[];
  /** How late these are counts from this time of day, in milliseconds since 1970. */
  readonly lateSince: number;
  /** Schedules whose plan may be wrong. */
  readonly plans: readonly PlannedTick[];
  /** How far the clock of the scripts is ahead of the time of day. */
  readonly skewMs: number;
  /** Entries of the outbox whose followers are to be accepted. */
  readonly toRelay: number;
  /** Marks that may be old (`Outbox.settleMarks`). */
  readonly marks: readonly string[];
  /** Whether there is an operation on which no server works. */
  readonly isOperationLeft: boolean;
  /** Steps that wait although their workflow should run by now (`confirmSteps`). */
  readonly unconfirmed: readonly UnconfirmedStep[];
  /** Members of batches that should be confirmed by now (`confirmMembers`). */
  readonly unconfirmedMembers: readonly UnconfirmedMembers[];
}

/** Numbers of a batch that were given, and whose tasks may have been accepted. */
export interface UnconfirmedMembers {
  readonly batch: string;
  readonly from: number;
  /** In their order: so many for each queue. */
  readonly queues: readonly (readonly [queue: string, count: number])[];
}

export interface UnconfirmedStep {
  readonly id: string;
  /** Home queue and id of its workflow, and the generation in which it waits. */
  readonly home: string;
  readonly workflow: string;
  readonly generation: number;
}

/** A schedule as a sweep found it, in the bytes that Redis has. */
export interface PlannedTick {
  readonly name: Buffer;
  /** The time of day of its next tick, as Redis writes a score; `undefined` when none is planned. */
  readonly due: string | undefined;
  /** `undefined`: there is no such schedule. */
  readonly definition: Buffer | undefined;
}

/**
 * @param client a connection of `openCommandConnection`
 * @returns sweeps a place, with or without looking at its schedules
 */
export function createSweeper(
  client: Redis,
  settings: SweepSettings,
): (place: Place, wantsTicks?: boolean) => Promise<Swept> {
  const { leaseMs, slice, popGraceMs, retentionMs, retentionBytes, periodMs, lateMs = 0 } = settings;
  return async (place, wantsTicks = true) => {
    const limits = [leaseMs, slice, popGraceMs, retentionMs, retentionBytes, periodMs];
    const args = [...limits, wantsTicks ? 1 : 0, lateMs];
    const reply = await runScript(client, 'sweep', place, args);
    const [
      nextMs,
      now,
      counts,
      ticks,
      lateSince,
      plans,
      skewMs,
      toRelay,
      marks,
      isOperationLeft,
      steps,
      members,
    ] = reply as [
      number,
      number,
      number[],
      (Buffer | null)[],
      number,
      (Buffer | null)[],
      number,
      number,
      Buffer[],
      number,
      (Buffer | number)[],
      Buffer[],
    ];
    const [due = 0, returned = 0, poisoned = 0, repaired = 0, expired = 0, removed = 0] = counts;
    return {
      nextMs,
      now,
      counts: { due, returned, poisoned, repaired, expired, removed },
      ticks: readTicks(ticks),
      lateSince,
      plans: readTicks(plans),
      skewMs,
      toRelay,
      marks: marks.map(String),
      isOperationLeft: isOperationLeft === 1,
      unconfirmed: readSteps(steps),
      unconfirmedMembers: readMembers(members),
    };
  };
}

/** Flat: id, home queue, workflow, generation. */
function readSteps(flat: readonly (Buffer | number)[]): UnconfirmedStep[] {
  const steps: UnconfirmedStep[] = [];
  for (let at = 0; at < flat.length; at += 4) {
    const [id, home, workflow, generation] = flat.slice(at, at + 4).map(String);
    steps.push({ id: id ?? '', home: home ?? '', workflow: workflow ?? '', generation: Number(generation) });
  }
  return steps;
}

/** Flat: batch and first number, queues as JSON; none of what another program has spoilt: nobody is looked for then. */
function readMembers(flat: readonly Buffer[]): UnconfirmedMembers[] {
  const members: UnconfirmedMembers[] = [];
  for (let at = 0; at + 1 < flat.length; at += 2) {
    const [batch = '', from] = String(flat[at]).split(' ');
    members.push({ batch, from: Number(from), queues: readQueues(String(flat[at + 1])) });
  }
  return members;
}

function readQueues(json: string): UnconfirmedMembers['queues'] {
  try {
    const read = v.safeParse(QueuesSchema, JSON.parse(json));
    return read.success ? read.output : [];
  } catch {
    return [];
  }
}

/** Flat: name, planned time, definition. */
function readTicks(flat: readonly (Buffer | null)[]): PlannedTick[] {
  const ticks: PlannedTick[] = [];
  for (let at = 0; at < flat.length; at += 3) {
    ticks.push({
      name: flat[at] ?? Buffer.alloc(0),
      due: flat[at + 1]?.toString(),
      definition: flat[at + 2] ?? undefined,
    });
  }
  return ticks;
}
