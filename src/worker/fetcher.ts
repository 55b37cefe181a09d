// The fetch loop: a blocking pop on a connection of its own while a slot is free. Nothing here polls.

import { delay, retryDelayMs, type Service } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import type { BlockingPop } from '../store/blocking-pop.ts';
import type { CallWatch } from './call-watch.ts';
import type { LaneTurn } from '../protocol/lane.ts';
import type { Lease } from './lease.ts';
import { createNudges } from './nudges.ts';
import type { Slots } from './slots.ts';

export interface FetcherDeps {
  /** Opens the dedicated connection anew; the loop throws a broken one away. */
  readonly open: () => Promise<BlockingPop>;
  readonly leases: readonly Pick<Lease, 'queue' | 'isOpen' | 'claim'>[];
  readonly slots: Slots;
  readonly laneTurn: LaneTurn;
  readonly watch: CallWatch;
  readonly log: Log;
}

export interface Fetcher extends Service {
  /** Stops fetching at once; a message that is being popped is still claimed. */
  stop(): Promise<void>;
  /** Other queues may be open now: looks, instead of waiting for the block time. */
  nudge(): void;
  /** Takes back a pop for which no slot is left: tasks came in another way. */
  rest(): void;
}

const FETCHING = 'fetch';

export function createFetcher(deps: FetcherDeps): Fetcher {
  const { leases, slots, laneTurn, watch, log } = deps;
  const stopping = new AbortController();
  let session: BlockingPop | undefined;
  let loop: Promise<void> | undefined;
  const nudges = createNudges();
  /** Rotates which queue comes first within a lane, so that none starves. */
  let turn = 0;

  async function run(): Promise<void> {
    for (let failures = 0; !stopping.signal.aborted; ) {
      try {
        session = await deps.open();
        while (!stopping.signal.aborted) {
          await fetchOnce(session);
          failures = 0;
        }
      } catch (error) {
        if (stopping.signal.aborted) break;
        failures += 1;
        if (watch.failed(FETCHING, error))
          log.warn({ err: error }, 'cannot fetch, trying again until it works');
        await delay(retryDelayMs(failures, 50, 1_000), stopping.signal);
      } finally {
        session?.close();
        session = undefined;
      }
    }
  }

  async function fetchOnce(pop: BlockingPop): Promise<void> {
    await slots.whenFree(stopping.signal);
    if (stopping.signal.aborted) return;
    const open = leases.filter((lease) => lease.isOpen);
    if (open.length === 0) {
      await nudges.next(stopping.signal);
      return;
    }
    // The slot of the message to come is taken already, or `finish` could fill it meanwhile.
    const reserved = slots.reserve(1);
    try {
      turn += 1;
      const first = turn % open.length;
      const queues = [...open.slice(first), ...open.slice(0, first)].map(({ queue }) => queue);
      const popped = await pop.pop(queues, laneTurn());
      watch.worked(FETCHING);
      if (!popped) return;
      await leases.find(({ queue }) => queue === popped.queue)?.claim([popped]);
    } finally {
      slots.unreserve(reserved);
    }
  }

  function interrupt(): void {
    session?.interrupt().catch(() => undefined); // Its connection is broken: the loop opens another.
  }

  return {
    async start() {
      loop = run();
    },

    async stop() {
      stopping.abort();
      await session?.interrupt();
      await loop;
    },

    nudge() {
      nudges.nudge();
      interrupt();
    },

    rest() {
      if (slots.limit() <= slots.size()) interrupt();
    },
  };
}
