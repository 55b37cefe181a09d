// Makes children: tasks that the handler of another one asks for, each under an id that derives from its parent, so that a handler that
// runs again finds those that it has made.

import type { Accept } from '../accept/accept.ts';
import type { Position, Prepared } from '../accept/new-task.ts';
import { compact } from '../protocol/compact.ts';
import { decodeCbor } from '../protocol/cbor.ts';
import { PopfleetError } from '../protocol/errors.ts';
import { type Call, CallSchema } from '../protocol/options.ts';
import { requestDigest } from '../protocol/request-digest.ts';
import { derivedTaskId, timeOfTaskId } from '../protocol/task-id.ts';
import { invalidInput, validate } from '../protocol/validate.ts';
import { markOfChild, writeChildDigest } from '../store/children.ts';
import { placeOf } from '../store/keys.ts';
import { writeLink } from '../store/outbox.ts';
import { demandInTime } from '../store/relay-time.ts';

/** The task whose handler asks for a child. */
interface Parent {
  readonly queue: string;
  readonly id: string;
  /** How often it has begun anew: then its children are others. */
  readonly anew: number;
  /** W3C trace context of the run. */
  readonly traceparent: string | undefined;
}

/** A child that can be sent. */
export interface Child {
  readonly id: string;
  /** Of its type, its input and its queue: the same child is asked for in the same way. */
  readonly digest: string;
  /** What follows the end of its parent. */
  readonly follower: string;
  readonly prepared: Prepared;
}

export interface Spawn {
  /**
   * @param key names the child among those of its parent
   * @param call CBOR of a call, which a handler has written
   * @throws PopfleetError `unknown-type`, `invalid-input`
   */
  prepare(parent: Parent, key: string, call: Uint8Array): Child;
  /**
   * Resolves once Redis has the child, now or before.
   * @param askedAt when its parent was asked for the last time whether it still wants it, by `steadyNow()`
   * @throws PopfleetError `redis-unavailable`, `redis-full`; Error when that was too long ago
   */
  send(child: Child, askedAt: number): Promise<void>;
}

const POSITION: Position = { call: '', input: '/input', queue: '`queue`' };

export function createSpawn(accept: Pick<Accept, 'prepare' | 'send'>): Spawn {
  return {
    prepare({ queue, id: parent, anew, traceparent }, key, bytes) {
      const call: Call = validate(CallSchema, decodeCbor(bytes));
      const misplaced = (['key', 'keyWindowMs', 'durability'] as const).find(
        (name) => call[name] !== undefined,
      );
      if (misplaced !== undefined) {
        throw invalidInput([{ pointer: `#/${misplaced}`, detail: 'is no option of a child' }]);
      }
      const sender = { key: undefined, queues: undefined, traceparent };
      const prepared = accept.prepare(call, sender, POSITION);
      const id = derivedTaskId(timeOfTaskId(parent), `${parent} ${anew} ${key}`);
      const { type, input } = call;
      const own = writeLink({ kind: 'child', queue, id: parent });
      const { follower } = prepared.task.extras ?? {};
      const extras = {
        ...prepared.task.extras,
        follower: follower === undefined ? own : `${own} ${follower}`,
        mark: markOfChild(placeOf(queue, parent), parent),
      };
      return {
        id,
        digest: writeChildDigest(requestDigest(compact({ type, input })), prepared.queue),
        follower: writeLink({ kind: 'children', queue, id: parent }),
        prepared: { ...prepared, task: { ...prepared.task, id, extras } },
      };
    },

    async send({ prepared }, askedAt) {
      demandInTime(askedAt);
      const verdict = await accept.send(prepared);
      // It has no idempotency key.
      if (verdict) throw new PopfleetError('internal', 'a child has found another task');
    },
  };
}
