// How many tasks of its queue a lease may claim, as far as that is not a matter of free places.

import type { Log } from '../log.ts';
import type { WorkerOrder } from '../store/worker-orders.ts';
import type { ThreadRoom } from './thread-room.ts';

export interface DemandDeps {
  readonly queue: string;
  readonly threadRoom: Pick<ThreadRoom, 'of'>;
  /** Called when a person wants the worker to end. */
  readonly onStop: () => void;
  readonly log: Log;
}

export class Demand {
  readonly #deps: DemandDeps;
  #order: WorkerOrder | undefined;
  /** By the last reply. */
  isPaused = false;

  constructor(deps: DemandDeps) {
    this.#deps = deps;
  }

  /** What a person wants of the worker. */
  get order(): WorkerOrder | undefined {
    return this.#order;
  }

  /** How many tasks may be claimed: none while the queue is paused, or somebody wants the worker to be quiet. */
  get room(): number {
    const { queue, threadRoom } = this.#deps;
    const mayClaim = !this.isPaused && (this.#order === undefined || this.#order === 'work');
    return mayClaim ? threadRoom.of(queue) : 0;
  }

  /** Whether as many are welcome as there are places. */
  get isRoomy(): boolean {
    return this.room === Number.POSITIVE_INFINITY;
  }

  obey(order: WorkerOrder | undefined): void {
    if (order === this.#order) return;
    this.#order = order;
    const { queue, onStop, log } = this.#deps;
    log.info({ queue, order }, 'a person wants this of the worker');
    if (order === 'stop') onStop();
  }
}
