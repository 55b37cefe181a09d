// The entry of every worker thread: decodes a message, checks its input again, runs the handler and encodes the result.

import { workerData } from 'node:worker_threads';
import * as v from 'valibot';
import { encodeCbor } from '../protocol/cbor.ts';
import { scanCbor } from '../protocol/cbor-scan.ts';
import { decodeMessage, type TaskMessage } from '../protocol/message.ts';
import { toTaskError } from '../protocol/task-error.ts';
import type { TaskDefinition } from '../tasks/define.ts';
import { PermanentError } from '../tasks/permanent-error.ts';
import { loadRegistry } from '../tasks/registry.ts';
import { type ThreadAnswer, type ThreadJob, type ThreadSettings, WARM_UP } from './thread-job.ts';

// Begun once when the thread starts, not at its first task.
const loading = loadRegistry((workerData as ThreadSettings).tasks);
loading.catch(() => undefined); // Whoever awaits it reports it.

/** Runs one job. What the handler throws comes back as a value, so that a rejection always means a lost thread. */
export default async function runJob(job: ThreadJob | typeof WARM_UP): Promise<ThreadAnswer> {
  const registry = await loading;
  if (job === WARM_UP) return { ok: true, result: new Uint8Array() };
  try {
    const message = decodeMessage(job.message);
    const definition = registry.get(message.type);
    if (!definition) throw new PermanentError(`no handler for task type "${message.type}" in this thread`);
    const input = parseInput(definition, message);
    const context = { id: message.id, type: message.type, attempt: job.attempt };
    return { ok: true, result: encodeResult(await definition.run(input, context)) };
  } catch (error) {
    // Whatever fails before the handler runs, or in its result, fails the same way next time.
    const permanent = error instanceof PermanentError || (error as Error | null)?.name === 'CborFault';
    return { ok: false, error: encodeCbor(toTaskError(error)), permanent };
  }
}

/** The input may come from a program that is not popfleet, or from a release with another schema. */
function parseInput(definition: TaskDefinition, message: TaskMessage): unknown {
  const parsed = v.safeParse(definition.input, message.input);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  const path = v.getDotPath(issue);
  throw new PermanentError(`the input is not valid${path ? ` at ${path}` : ''}: ${issue.message}`);
}

/** @throws PermanentError when the result cannot be told to a caller as JSON or CBOR */
function encodeResult(result: unknown): Uint8Array {
  try {
    const bytes = encodeCbor(result);
    scanCbor(bytes);
    return Uint8Array.from(bytes); // Its own buffer: the encoder's is shared with later results.
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new PermanentError(`the handler's result is no plain value (${reason})`);
  }
}
