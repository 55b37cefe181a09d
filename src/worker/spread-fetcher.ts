// The fetch loops of a worker whose queues are spread over a cluster: one blocking pop waits for keys of one slot, so each queue has a
// loop and a connection of its own. Each pop has a slot of the worker. When there are fewer free slots than queues, the others wait
// beside: whichever brings something first gets the slot. What comes at the same moment and finds none is put back where it was.

import { delay, retryDelayMs } from '../lifecycle.ts';
import type { BlockingPop, Pop } from '../store/blocking-pop.ts';
import type { ReadyLists } from '../store/ready-lists.ts';
import type { Fetcher, FetcherDeps } from './fetcher.ts';
import { createNudges } from './nudges.ts';
import { createPopSlots, type PopSlots, type WaitingPop } from './pop-slots.ts';

export interface SpreadFetcherDeps extends Omit<FetcherDeps, 'open'> {
  /** Opens the dedicated connection of a queue anew; its loop throws a broken one away. */
  readonly open: (queue: string) => Promise<BlockingPop>;
  readonly lists: ReadyLists;
}

type Lease = SpreadFetcherDeps['leases'][number];

/** A pop without a reply for so long has found nothing: its slot may go to a queue where something waits. */
const FOUND_NOTHING_MS = 20;

export function createSpreadFetcher(deps: SpreadFetcherDeps): Fetcher {
  const stopping = new AbortController();
  const popSlots = createPopSlots(deps.slots);
  const nudges = createNudges();
  const sessions = new Set<BlockingPop>();
  let loops: Promise<unknown> | undefined;

  async function run(lease: Lease): Promise<void> {
    const { watch, log } = deps;
    const { queue } = lease;
    const { signal } = stopping;
    const call = `fetch from ${queue}`;
    for (let failures = 0; !signal.aborted; ) {
      let pop: BlockingPop | undefined;
      try {
        pop = await deps.open(queue);
        sessions.add(pop);
        while (!signal.aborted) {
          await popSlots.whenWorthwhile(signal);
          if (!lease.isOpen) await nudges.next(signal);
          else await fetchOnce(deps, popSlots, lease, pop, signal);
          watch.worked(call);
          failures = 0;
        }
      } catch (error) {
        if (signal.aborted) break;
        failures += 1;
        if (watch.failed(call, error))
          log.warn({ err: error, queue }, 'cannot fetch, trying again until it works');
        await delay(retryDelayMs(failures, 50, 1_000), signal);
      } finally {
        if (pop) sessions.delete(pop);
        pop?.close();
      }
    }
  }

  return {
    async start() {
      loops = Promise.all(deps.leases.map(run));
    },

    async stop() {
      stopping.abort();
      await Promise.all([...sessions].map((pop) => pop.interrupt().catch(() => undefined)));
      await loops;
    },

    nudge() {
      nudges.nudge();
      popSlots.endAll();
    },

    rest: popSlots.endUseless,
  };
}

async function fetchOnce(
  { lists, laneTurn }: SpreadFetcherDeps,
  popSlots: PopSlots,
  lease: Lease,
  pop: BlockingPop,
  signal: AbortSignal,
): Promise<void> {
  const { queue } = lease;
  let hasSlot = popSlots.reserve();
  // Without a slot nothing is popped that waits there already.
  if (!hasSlot && (await lists.hasSome(queue))) {
    hasSlot = popSlots.takeOver(performance.now() - FOUND_NOTHING_MS);
    if (!hasSlot) {
      await delay(FOUND_NOTHING_MS, signal);
      return;
    }
  }
  // Its connection is broken when that fails: the loop opens another.
  const end = (): void => void pop.interrupt().catch(() => undefined);
  const one: WaitingPop = { since: performance.now(), hasSlot, end };
  try {
    // Meanwhile the slot beside which it would wait may be gone.
    if (signal.aborted || (!hasSlot && !popSlots.isLent())) return;
    const popped = await waitFor(popSlots, one, () => pop.pop([queue], laneTurn()));
    if (!popped) return;
    one.hasSlot ||= popSlots.reserve() || popSlots.takeOver();
    if (!one.hasSlot) {
      await lists.putBack(popped);
      return;
    }
    const claimed = lease.claim([popped]);
    // The claim may fill the other free slots too.
    popSlots.endUseless();
    await claimed;
  } finally {
    if (one.hasSlot) popSlots.giveBack();
    popSlots.endUseless();
  }
}

async function waitFor(
  popSlots: PopSlots,
  one: WaitingPop,
  pop: () => Promise<Pop | undefined>,
): Promise<Pop | undefined> {
  popSlots.add(one);
  try {
    return await pop();
  } finally {
    popSlots.remove(one);
  }
}
