// Runs one claimed task from its message to its outcome, as named steps.

import type { Log } from '../log.ts';
import { encodeCbor } from '../protocol/cbor.ts';
import { readEnvelope } from '../protocol/message.ts';
import { toTaskError } from '../protocol/task-error.ts';
import type { ClaimedTask, Outcome, OutcomeWord } from '../store/consumer.ts';
import type { Registry } from '../tasks/registry.ts';
import type { Pool, RunEnd } from './pool.ts';

/** Runs a task; `undefined` when it belongs to somebody else by now and there is nothing to report. Never rejects. */
export type Execute = (task: ClaimedTask, signal: AbortSignal) => Promise<Outcome | undefined>;

/** A type nobody here knows yet: a newer release may. It waits for it, and costs no attempt. */
const UNKNOWN_TYPE_DELAY_MS = 10_000;

const NOTHING = Buffer.alloc(0);

export function createExecute(registry: Registry, pool: Pool, log: Log): Execute {
  return async function execute(task, signal) {
    const type = readEnvelope(task.message)?.type;
    if (type === undefined || !registry.has(type)) return postpone(task, type, log);
    const end = await pool.run(task.message, task.failures + 1, signal);
    const outcome = toOutcome(task, end);
    report(task, type, outcome, log);
    return outcome;
  };
}

function postpone(task: ClaimedTask, type: string | undefined, log: Log): Outcome {
  log.warn(
    { task: task.id, queue: task.queue, type },
    'no handler for this task type: it waits for another worker',
  );
  const error = {
    name: 'UnknownType',
    message: `no worker that took this task knows its type "${type ?? ''}"`,
  };
  return outcomeOf(task, 'postponed', encodeCbor(error), UNKNOWN_TYPE_DELAY_MS);
}

function toOutcome(task: ClaimedTask, end: RunEnd): Outcome | undefined {
  switch (end.kind) {
    case 'answered':
      return end.answer.ok
        ? outcomeOf(task, 'succeeded', toBuffer(end.answer.result))
        : outcomeOf(task, 'dead', toBuffer(end.answer.error));
    case 'thread-lost':
      return outcomeOf(task, 'dead', encodeCbor(toTaskError(end.error)));
    case 'stopped':
      switch (end.reason) {
        case 'cancelled':
          return outcomeOf(task, 'cancelled', NOTHING);
        case 'shutting-down':
          return outcomeOf(task, 'released', NOTHING);
        case 'lease-lost':
          return undefined;
      }
  }
}

function outcomeOf(task: ClaimedTask, word: OutcomeWord, payload: Buffer, delayMs = 0): Outcome {
  return { id: task.id, claim: task.claim, word, payload, delayMs };
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function report(task: ClaimedTask, type: string, outcome: Outcome | undefined, log: Log): void {
  const fields = { task: task.id, queue: task.queue, type, claim: task.claim };
  if (!outcome) log.warn(fields, 'stopped: another worker holds this task now');
  else if (outcome.word === 'dead') log.warn(fields, 'the task failed');
  else log.debug({ ...fields, outcome: outcome.word }, 'the task ended');
}
