// What this worker says of places that are free, so that scripts may hand it tasks: in one queue at a time, or a place would be
// promised twice.

export interface Offers {
  /**
   * Whether free places may be offered in this queue. A worker with several queues offers them while it holds nothing, or each task
   * of another queue would cost a call that lowers the offer.
   * @param size tasks that it holds then
   */
  mayOffer(queue: string, size: number): boolean;
  /** Redis may think from now on that places are free in the queue whose turn it is. */
  offered(): void;
  /** A task of this queue came by a pop: places had better be offered there. */
  popped(queue: string): void;
  /** Tasks of this queue were handed over. */
  handed(): void;
  /** Redis has answered a beat of this queue that offered nothing, and all that was handed over there is here. */
  withdrawn(queue: string): void;
  /** Nothing is offered any more. */
  stop(): void;
}

/** A queue in which nothing was handed over for so long, in milliseconds, gives way to one whose tasks are popped. */
const STAYS_MS = 1_000;

/**
 * @param queues in which it may offer places, in turns
 * @param saysAnew called with a queue which has to say anew what it offers
 */
export function createOffers(queues: readonly string[], saysAnew: (queue: string) => void): Offers {
  let current = queues[0];
  let wanted = current;
  /** By `performance.now()`. */
  let handedAt = performance.now();
  let isStanding = false;
  let isStopping = false;

  return {
    mayOffer(queue, size) {
      if (isStopping || queue !== current || queue !== wanted) return false;
      return queues.length === 1 || size === 0;
    },

    offered() {
      isStanding = true;
    },

    popped(queue) {
      if (queue === current || current === undefined) return;
      const isNewWish = wanted !== queue && performance.now() - handedAt >= STAYS_MS;
      if (isNewWish) wanted = queue;
      // The task has taken a place that was promised there. With nothing promised, its answer lets the queue change, too.
      if (isStanding || isNewWish) saysAnew(current);
    },

    handed() {
      handedAt = performance.now();
    },

    withdrawn(queue) {
      if (queue !== current) return;
      isStanding = false;
      if (isStopping || wanted === current || wanted === undefined) return;
      current = wanted;
      handedAt = performance.now();
      saysAnew(current);
    },

    stop() {
      isStopping = true;
    },
  };
}
