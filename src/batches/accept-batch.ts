// Accepts batches and their members: a record, then numbers, then the members under the ids of these, then the word that they are there.

import type { Accept } from '../accept/accept.ts';
import { keyReused, ofTask, recordKeyReused } from '../accept/idempotency.ts';
import { type Position, type Prepared, type Sender } from '../accept/new-task.ts';
import { ownedKey } from '../accept/owned-key.ts';
import type { BatchCall } from '../protocol/batch.ts';
import { compact } from '../protocol/compact.ts';
import { PopfleetError } from '../protocol/errors.ts';
import { DEFAULT_QUEUE } from '../protocol/names.ts';
import type { Call } from '../protocol/options.ts';
import { requestDigest } from '../protocol/request-digest.ts';
import { newTaskId } from '../protocol/task-id.ts';
import {
  type Batches,
  type BatchPlan,
  CONFIRM_WITHIN_MS,
  CONFIRMED_A_CALL,
  type MemberQueues,
  memberId,
  memberLink,
  memberMark,
} from '../store/batches.ts';
import { steadyNow } from '../steady-now.ts';
import { writeFollower } from '../store/outbox.ts';
import type { Verdict } from '../store/producer.ts';

/** Tasks that were sent to a batch, in the order of the request. */
interface SentMembers {
  readonly tasks: readonly Prepared[];
  readonly verdicts: ReadonlyMap<number, Verdict>;
}

interface AcceptedBatch extends SentMembers {
  readonly id: string;
  readonly home: string;
  /** Its key has found one that was there. */
  readonly isReplayed: boolean;
}

export interface AcceptBatch {
  /**
   * Accepts a batch that was validated, with all of its members when the call has any. When its key finds one whose sending has broken
   * off, the members that are missing are sent, as long as nobody looks for them yet.
   * @param tasks those members, which were admitted
   * @throws PopfleetError `invalid-input`, `unknown-type`, `forbidden`, `redis-unavailable`, `redis-full`; `idempotency-key-reused`,
   *   also when another request takes the key of one of the tasks at this moment: the batch has the others then
   */
  open(call: BatchCall, tasks: readonly Prepared[] | undefined, sender: Sender): Promise<AcceptedBatch>;
  /**
   * Adds members to an open batch.
   * @param tasks which were admitted
   * @throws PopfleetError `not-found`, `invalid-state`, `too-large`, `redis-unavailable`, `redis-full`
   */
  add(home: string, id: string, tasks: readonly Prepared[]): Promise<SentMembers>;
}

export interface AcceptBatchDeps {
  readonly accept: Pick<Accept, 'prepare' | 'sendMany' | 'admitQueue'>;
  readonly store: Batches;
}

const SEND_WHOLE_AGAIN =
  'The same request with the same `key` sends what is missing when it comes within a minute. Later the missing tasks count as cancelled.';

export function createAcceptBatch({ accept, store }: AcceptBatchDeps): AcceptBatch {
  /** @param from the number of the first */
  async function send(
    home: string,
    id: string,
    from: number,
    tasks: readonly Prepared[],
    order: readonly number[],
    advice?: string,
  ): Promise<SentMembers> {
    const members = order.map((at, index) => toMember(tasks[at] as Prepared, home, id, from + index));
    const begunAt = steadyNow();
    const taskAt = (index: number): Prepared => {
      if (isInTime(begunAt)) return members[index] as Prepared;
      throw sentTooLate();
    };
    const found = await accept.sendMany(members.length, taskAt, advice);
    if ([...found.values()].some(({ word }) => word === 'voided')) throw sentTooLate();
    const none = [...found].flatMap(([index, { word }]) => (word === 'accepted' ? [] : [from + index]));
    if (isInTime(begunAt)) await store.confirm(home, id, from, queuesOf(members), none);
    const byTask = new Map(order.map((at, index) => [at, index]));
    return {
      tasks: tasks.map((_, at) => members[byTask.get(at) ?? -1] as Prepared),
      verdicts: new Map(Array.from(found, ([index, verdict]) => [order[index] ?? -1, verdict])),
    };
  }

  return {
    async open(call, tasks, sender) {
      const success = prepareThen(accept, 'success', call, sender);
      const complete = prepareThen(accept, 'complete', call, sender);
      const id = newTaskId();
      const plan = planOf(id, call, sender, { success, complete });
      const { home } = plan;
      await accept.admitQueue(home, sender);
      const order = orderOf(tasks ?? []);
      const members = tasks && queuesOf(order.map((at) => tasks[at] as Prepared));
      const then = { success: success && followerOf(success), complete: complete && followerOf(complete) };
      const opened = await store.open(plan, requestDigest(call), then, members);
      if (opened.word === 'conflict') throw recordKeyReused('batch', opened.id);
      const isReplayed = opened.word === 'replayed' || opened.word === 'resumed';
      const resent = new Map<number, Verdict>();
      for (const from of opened.missing) {
        const part = order.slice(from, from + CONFIRMED_A_CALL).map((at) => tasks?.[at] as Prepared);
        const { verdicts } = await send(home, opened.id, from, part, orderOf(part), SEND_WHOLE_AGAIN);
        for (const [at, verdict] of verdicts) resent.set(order[from + at] ?? -1, verdict);
      }
      demandNoConflict(resent);
      if (isReplayed || !tasks || tasks.length === 0) {
        return { id: opened.id, home, isReplayed, tasks: [], verdicts: new Map() };
      }
      const sent = await send(home, id, 0, tasks, order, SEND_WHOLE_AGAIN);
      demandNoConflict(sent.verdicts);
      return { id, home, isReplayed, ...sent };
    },

    async add(home, id, tasks) {
      const order = orderOf(tasks);
      const { word, from } = await store.reserve(
        home,
        id,
        queuesOf(order.map((at) => tasks[at] as Prepared)),
      );
      switch (word) {
        case 'unknown':
          throw new PopfleetError('not-found', 'There is no such batch any more.');
        case 'closed':
          throw new PopfleetError('invalid-state', 'The batch is closed: it takes no more tasks.');
        case 'full':
          throw new PopfleetError('too-large', 'A batch may have at most 1,000,000 tasks.');
        case 'reserved':
          return send(home, id, from, tasks, order);
      }
    },
  };
}

/** The task that follows, if there is one. */
function prepareThen(
  accept: Pick<Accept, 'prepare'>,
  name: 'success' | 'complete',
  call: BatchCall,
  sender: Sender,
): Prepared | undefined {
  const one = call.then?.[name];
  if (!one) return undefined;
  const at = `/then/${name}`;
  const position: Position = { call: at, input: `${at}/input`, queue: '`queue`' };
  return accept.prepare(
    compact<Call>({ ...one, input: one.input === undefined ? {} : one.input }),
    sender,
    position,
  );
}

/** A task whose key belongs to another request is none of the batch, which its sender has to learn. */
function demandNoConflict(verdicts: SentMembers['verdicts']): void {
  for (const [at, { word, id }] of verdicts) {
    if (word === 'conflict') throw keyReused(ofTask(id), `#/tasks/${at}/key`);
  }
}

/** Those that are sent later are looked for already, and refused; the marks that refuse them last for ten minutes. */
function isInTime(begunAt: number): boolean {
  return steadyNow() - begunAt <= CONFIRM_WITHIN_MS;
}

function sentTooLate(): PopfleetError {
  return new PopfleetError('redis-unavailable', 'Sending these tasks took too long.', {
    retryAfterSeconds: 1,
  });
}

function planOf(
  id: string,
  { name, key, queue = DEFAULT_QUEUE, then }: BatchCall,
  sender: Sender,
  prepared: Readonly<Record<'success' | 'complete', Prepared | undefined>>,
): BatchPlan {
  const thenOf = (which: 'success' | 'complete'): BatchPlan['success'] => {
    const [type, one] = [then?.[which]?.type, prepared[which]];
    return one && type !== undefined ? { type, queue: one.queue } : undefined;
  };
  return compact<BatchPlan>({
    id,
    home: queue,
    name,
    key: key === undefined ? undefined : ownedKey(sender.key, key),
    success: thenOf('success'),
    complete: thenOf('complete'),
  });
}

function toMember(prepared: Prepared, home: string, batch: string, number: number): Prepared {
  const { task } = prepared;
  const own = memberLink(home, batch, number);
  const { follower } = task.extras ?? {};
  const extras = {
    ...task.extras,
    follower: follower === undefined ? own : `${own} ${follower}`,
    mark: memberMark(home, batch),
  };
  return { ...prepared, task: { ...task, id: memberId(batch, number), extras } };
}

function followerOf({ queue, task: { lane, content, extras } }: Prepared): string {
  return writeFollower({ queue, lane, content, extras });
}

/** Positions of tasks, those of one queue behind each other. */
function orderOf(tasks: readonly Prepared[]): readonly number[] {
  const positions = new Map<string, number[]>();
  for (const [at, { queue }] of tasks.entries()) {
    const own = positions.get(queue);
    if (own) own.push(at);
    else positions.set(queue, [at]);
  }
  return [...positions.values()].flat();
}

function queuesOf(tasks: readonly Prepared[]): MemberQueues {
  const counts = new Map<string, number>();
  for (const { queue } of tasks) counts.set(queue, (counts.get(queue) ?? 0) + 1);
  return [...counts];
}
