// Everything that accepts tasks: the server's side of the queue.

import type { Redis } from 'ioredis';
import { type Soon, whenThere } from '../lifecycle.ts';
import { DEFAULT_LANE } from '../protocol/lane.ts';
import type { Durability } from '../protocol/options.ts';
import { whenReady } from './connection.ts';
import { allWithEndpoints, endpointRulesOf } from './endpoint-rules.ts';
import { type Place, placeOf } from './keys.ts';
import type { NewTask } from './new-task.ts';
import { registerQueues } from './queue-names.ts';
import type { Rounds } from './rounds.ts';
import type { ScriptArgument } from './script-call.ts';
import { runScript } from './scripts.ts';
import { isOutage, toStoreError } from './store-error.ts';

/**
 * `accepted`: simply so, with a level; `replayed`: the key belongs to the task `id`, made by the same request; `conflict`: by another
 * one; `voided`: a member of a batch was looked for in vain before it came, and is not accepted any more.
 */
export interface Verdict {
  readonly word: 'accepted' | 'replayed' | 'conflict' | 'voided';
  /** The task that the caller has now. */
  readonly id: string;
  /** Where Redis has the task, when a level was waited for. */
  readonly reached?: Durability;
}

export interface Producer {
  /**
   * Accepts tasks in one call; all of them, but for those whose idempotency key is taken. A call that was not sent, or
   * whose reply got lost, is repeated for a short while: tasks that are there already are found by their ids.
   * @returns a verdict for each that was not simply accepted, and with a level for all of them, by its position in `tasks`
   * @throws PopfleetError `redis-unavailable` or `redis-full`; with a lost reply the tasks may have been accepted
   */
  enqueue(queue: string, tasks: readonly NewTask[]): Promise<ReadonlyMap<number, Verdict>>;
}

/** A queue is made known again from time to time, should only its name be gone. */
const REGISTERED_FOR_MS = 5_000;
/** How long after the first fault it is repeated. */
const REPEAT_WITHIN_MS = 500;
/** The last try begins so long after the first at most: it may take a second, and the front door must answer within two. */
const LAST_TRY_WITHIN_MS = 900;

/**
 * @param client a connection of `openCommandConnection`
 * @param rounds wait until Redis has more than its memory has
 */
export function createProducer(client: Redis, rounds?: Rounds): Producer {
  /** Queue → when it was written to the list of queues. */
  const registered = new Map<string, number>();
  /** Queues in which no worker was idle, by the reply of the last call. */
  const busy = new Set<string>();
  const rules = endpointRulesOf(client);
  // Each call that waits for the connection to come back listens for it.
  client.setMaxListeners(0);
  // Another Redis, or an emptied one, may stand behind the connection that comes back.
  client.on('close', () => {
    registered.clear();
    busy.clear();
  });

  async function send(
    place: Place,
    args: readonly ScriptArgument[],
    onWritten?: (socket: object) => void,
  ): Promise<unknown> {
    const { queue } = place;
    const isFresh =
      performance.now() - (registered.get(queue) ?? Number.NEGATIVE_INFINITY) < REGISTERED_FOR_MS;
    const known = isFresh ? undefined : registerQueues(client, [queue]);
    const script = busy.has(queue) ? 'enqueue' : 'hand';
    const [reply] = await Promise.all([runScript(client, script, place, args, onWritten), known]);
    const notes = notesOf(reply);
    if (notes.has('busy')) busy.add(queue);
    if (notes.has('idle')) busy.delete(queue);
    if (!isFresh) registered.set(queue, performance.now());
    // Redis was emptied since the queue was made known.
    else if (notes.has('first')) await registerQueues(client, [queue]);
    return reply;
  }

  /** @returns a verdict for each of the tasks */
  async function sendInRound(
    { run }: Rounds,
    place: Place,
    tasks: readonly NewTask[],
    { args, order }: Written,
  ): Promise<ReadonlyMap<number, Verdict>> {
    const { reply, reached } = await run(place, (onWritten) => send(place, args, onWritten));
    const found = readVerdicts(reply, order);
    return new Map(
      tasks.map(({ id }, at) => [at, { ...(found.get(at) ?? { word: 'accepted' as const, id }), reached }]),
    );
  }

  return {
    async enqueue(queue, tasks) {
      const read = (): Soon<Written> =>
        whenThere(rules.current(), (current) => writeTasks(allWithEndpoints(current, queue, tasks)));
      let written: Written | undefined;
      // All tasks of one call go to one place.
      const place = placeOf(queue, tasks[0]?.id ?? '');
      for (let giveUpAt = performance.now() + LAST_TRY_WITHIN_MS; ; ) {
        try {
          // Also a repeat sends what was sent first.
          written ??= await read();
          if (rounds) return await sendInRound(rounds, place, tasks, written);
          return readVerdicts(await send(place, written.args), written.order);
        } catch (error) {
          giveUpAt = Math.min(giveUpAt, performance.now() + REPEAT_WITHIN_MS);
          const leftMs = giveUpAt - performance.now();
          // A connection that was thrown away for its answer comes back, perhaps from another server.
          const again = isOutage(error) && leftMs > 0 && (await whenReady(client, leftMs));
          if (!again) throw toStoreError(error);
        }
      }
    },
  };
}

/** Tasks as enqueue.lua reads them: plain ones first, in columns. `order` has the position of each among all. */
interface Written {
  readonly args: readonly ScriptArgument[];
  readonly order: readonly number[];
}

function writeTasks(tasks: readonly NewTask[]): Written {
  const plain: number[] = [];
  const others: number[] = [];
  for (const [at, { lane, extras }] of tasks.entries()) {
    (lane === DEFAULT_LANE && !extras ? plain : others).push(at);
  }
  const order = [...plain, ...others];
  const args: ScriptArgument[] = [plain.length];
  for (const at of plain) args.push((tasks[at] as NewTask).id);
  for (const at of plain) args.push((tasks[at] as NewTask).id, (tasks[at] as NewTask).content);
  for (const at of others) {
    const { id, content, lane, extras } = tasks[at] as NewTask;
    args.push(id, content, lane, JSON.stringify(extras ?? {}));
  }
  return { args, order };
}

/** The last words of the reply of enqueue.lua, which say something of the queue and of none of the tasks. */
function notesOf(reply: unknown): ReadonlySet<string> {
  const flat = reply as readonly (Buffer | number)[];
  const notes = new Set<string>();
  for (let at = flat.length - 3; at >= 0 && flat[at] === 0; at -= 3) notes.add(String(flat[at + 1]));
  return notes;
}

/** Flat: position from 1, word, id. `known` is a task of this very call, accepted by its first try. */
function readVerdicts(reply: unknown, order: readonly number[]): ReadonlyMap<number, Verdict> {
  const flat = reply as readonly (Buffer | number)[];
  const verdicts = new Map<number, Verdict>();
  for (let at = 0; at < flat.length; at += 3) {
    const word = String(flat[at + 1]);
    if (word === 'replayed' || word === 'conflict' || word === 'voided') {
      verdicts.set(order[Number(flat[at]) - 1] ?? -1, { word, id: String(flat[at + 2]) });
    }
  }
  return verdicts;
}
