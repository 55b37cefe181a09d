// What runs find of earlier ones: checkpoints, which handlers keep for the next run of their task, and what the needs of a task have
// brought.

import type { Log } from '../log.ts';
import type { Consumer } from '../store/consumer.ts';
import type { HandlerReply, RunOf } from './runners/runner.ts';
import type { HeldTask, Slots } from './slots.ts';
import { askFor, holderOf, type LeaseOf, untilDone } from './until-done.ts';

export interface Checkpoints {
  /**
   * Resolves once Redis has a checkpoint (empty bytes = once it has none any more), or will not take it: the task belongs to another
   * worker. Redis may be away meanwhile, however long that takes. While the worker stops, the run is asked to stop here: it goes on
   * from here elsewhere. Never rejects.
   */
  keep(run: RunOf, value: Uint8Array): Promise<HandlerReply>;
  /** The checkpoint of a task that this worker holds; `undefined` when it has none, or is to be stopped before it was read. */
  read(held: HeldTask): Promise<Uint8Array | undefined>;
  /** What the needs of a task have brought, as `Job.needs`; `undefined` when it is to be stopped before they were read. */
  readNeeds(held: HeldTask): Promise<readonly Uint8Array[] | undefined>;
}

export interface CheckpointsDeps {
  readonly leases: readonly LeaseOf<Pick<Consumer, 'checkpoint' | 'readCheckpoint' | 'readNeeds'>>[];
  readonly slots: Pick<Slots, 'find'>;
  /** Fires when the worker begins to stop. */
  readonly stopping: AbortSignal;
  readonly log: Log;
}

const STALE: HandlerReply = {
  refused: { name: 'AbortError', message: 'the checkpoint was not kept: this run does not count any more' },
};

export function createCheckpoints({ leases, slots, stopping, log }: CheckpointsDeps): Checkpoints {
  return {
    async keep(run, value) {
      const holder = holderOf(leases, slots, run);
      if (!holder) return STALE;
      const { consumer, held } = holder;
      held.hasReported = true;
      const isKept = await untilDone(held, log, () => consumer.checkpoint(held.task, value));
      if (isKept !== true) return STALE;
      if (stopping.aborted) held.stop('shutting-down');
      return {};
    },

    readNeeds(held) {
      // Its row has more than a worker counts of plain ones.
      held.hasReported = true;
      return askFor(leases, held, log, (consumer) => consumer.readNeeds(held.task.id));
    },

    read: (held) => askFor(leases, held, log, (consumer) => consumer.readCheckpoint(held.task.id)),
  };
}
