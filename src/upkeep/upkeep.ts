// What keeps the queues of a fleet whole, for the role that opens it: sweeps, relays and operations over one connection.

import { randomUUID } from 'node:crypto';
import type { Service } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import type { Place } from '../store/keys.ts';
import { confirmMembers } from '../store/confirm-members.ts';
import { operate } from '../store/operations.ts';
import { createOutbox } from '../store/outbox.ts';
import { createProducer } from '../store/producer.ts';
import { createSweeper, type Swept } from '../store/sweeper.ts';
import { confirmSteps } from '../store/workflows.ts';
import { runTicks } from '../store/ticks.ts';
import { openRelay } from './open-relay.ts';
import { createOperatePlaces, type OperatePlaces } from './operate-places.ts';
import type { Relay } from './relay.ts';
import { createSweepAll } from './sweep-all.ts';
import { createSweepPlace } from './sweep-place.ts';

export interface UpkeepSettings {
  readonly leaseMs: number;
  readonly heartbeatMs: number;
  readonly popGraceMs: number;
  readonly resultTtlMs: number;
  readonly retentionBytes: number;
}

export interface Upkeep {
  readonly relay: Relay;
  readonly operations: Pick<OperatePlaces, 'soon'>;
  /** Sweeps of one place; each does what it names. */
  sweepOf(place: Place): () => Promise<Swept>;
  /** Sweeps all queues, now and then. Its stop waits for what is under way, relays and operations included. */
  sweepAll(queues: () => Promise<readonly string[]>): Service;
}

/** A server sweeps later than a worker would, by this part of the time between two sweeps. */
const SERVER_LATENESS = 3;
/** Tasks of each kind that one sweep handles; a slice takes Redis about a millisecond. */
const SWEEP_SLICE = 100;

/**
 * @param client a connection of `openCommandConnection`
 * @param role workers sweep their queues first, and run the ticks of schedules; servers sweep what no worker does,
 *   and work on operations
 */
export function openUpkeep(
  client: Parameters<typeof createProducer>[0],
  { leaseMs, heartbeatMs, popGraceMs, resultTtlMs, retentionBytes }: UpkeepSettings,
  role: 'worker' | 'server',
  log: Log,
): Upkeep {
  const outbox = createOutbox(client);
  const relay = openRelay(client, log);
  const sweep = createSweeper(client, {
    leaseMs,
    slice: SWEEP_SLICE,
    popGraceMs,
    retentionMs: resultTtlMs,
    retentionBytes,
    periodMs: heartbeatMs,
    // So that a queue that servers sweep alone is still swept more often than twice a lease (see lost-workers.lua).
    lateMs: role === 'server' ? Math.round(heartbeatMs / SERVER_LATENESS) : 0,
  });
  const caller = randomUUID();
  const operations = createOperatePlaces({
    operate: (place, most) => operate(client, place, caller, most),
    onEnd: relay.soon,
    log,
  });
  const tick = (queue: string, swept: Swept): ReturnType<typeof runTicks> => runTicks(client, queue, swept);
  const ofRole = role === 'worker' ? { tick } : { operations };
  const confirm = (place: Place, steps: Swept['unconfirmed']): Promise<number> =>
    confirmSteps(client, place, steps);
  const confirmOfBatches = (place: Place, members: Swept['unconfirmedMembers']): Promise<number> =>
    confirmMembers(client, place.queue, members);
  const shared = {
    confirm,
    confirmMembers: confirmOfBatches,
    sweep,
    outbox,
    relay,
    retryMs: heartbeatMs,
    log,
    ...ofRole,
  };
  const sweepOf = (place: Place): (() => Promise<Swept>) => createSweepPlace({ place, ...shared });
  return {
    relay,
    operations,
    sweepOf,
    sweepAll(queues) {
      const { start, stop } = createSweepAll({ queues, sweepOf, log, everyMs: heartbeatMs });
      return { start, stop: () => Promise.all([stop(), operations.stop()]).then(relay.settled) };
    },
  };
}
