// Sends many tasks in few calls to Redis.

import { PopfleetError } from '../protocol/errors.ts';
import type { Durability } from '../protocol/options.ts';
import type { NewTask } from '../store/new-task.ts';
import type { Producer, Verdict } from '../store/producer.ts';
import type { Prepared } from './new-task.ts';

/** A script call blocks Redis for as long as it takes, and Lua can unpack only some thousand values. */
const TASKS_A_CALL = 250;
/** Redis works on one call while the next are on their way. More would wait in Redis and delay the calls of other clients. */
const CALLS_AT_ONCE = 4;

/** Tasks of one queue and one level, with the index of each. */
interface Call {
  readonly producer: Producer;
  readonly queue: string;
  readonly tasks: NewTask[];
  readonly indexes: number[];
}

const SEND_AGAIN =
  'Give each task a `key` and send the same batch again: what is there already is then found, not made twice.';

/** As `Accept.sendMany`. */
export async function sendMany(
  producerFor: (level: Durability | undefined) => Producer,
  count: number,
  taskAt: (index: number) => Prepared,
  advice = SEND_AGAIN,
): Promise<ReadonlyMap<number, Verdict>> {
  const verdicts = new Map<number, Verdict>();
  const underWay: Promise<void>[] = [];
  let accepted = 0;
  let failure: unknown;

  async function send({ producer, queue, tasks, indexes }: Call): Promise<void> {
    try {
      const found = await producer.enqueue(queue, tasks);
      accepted += tasks.length;
      for (const [at, verdict] of found) {
        verdicts.set(indexes[at] ?? -1, verdict);
        if (verdict.word !== 'accepted') accepted -= 1;
      }
    } catch (error) {
      failure ??= error;
    }
  }

  async function sendInTurn(call: Call): Promise<void> {
    if (underWay.length === CALLS_AT_ONCE) await underWay.shift();
    if (failure === undefined) underWay.push(send(call));
  }

  const open = new Map<string, Call>();
  for (let index = 0; index < count && failure === undefined; index += 1) {
    const { queue, task, durability } = taskAt(index);
    // No name of a queue has a blank.
    const name = durability === undefined ? queue : `${queue} ${durability}`;
    const call = open.get(name) ?? { producer: producerFor(durability), queue, tasks: [], indexes: [] };
    call.indexes.push(index);
    if (call.tasks.push(task) === 1) open.set(name, call);
    if (call.tasks.length < TASKS_A_CALL) continue;
    open.delete(name);
    await sendInTurn(call);
  }
  for (const call of open.values()) await sendInTurn(call);
  await Promise.all(underWay);
  if (failure !== undefined) throw interrupted(failure, accepted, count, advice);
  return verdicts;
}

function interrupted(error: unknown, accepted: number, of: number, advice: string): unknown {
  if (!(error instanceof PopfleetError)) return error;
  const detail = `${error.message} ${accepted} of ${of} tasks were accepted for certain, others may be. ${advice}`;
  const { code, retryAfterSeconds, cause } = error;
  return new PopfleetError(code, detail, {
    extensions: { accepted },
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    cause: cause ?? error,
  });
}
