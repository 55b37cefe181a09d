// A load run from the first request to the verdict: send, drain, check every task, report.

import { setMaxListeners } from 'node:events';
import { readQueueSight } from './api.ts';
import { drainQueue, queuePath } from './drain.ts';
import { createHttpClient } from './http-client.ts';
import type { LoadOptions } from './options.ts';
import { createProgress, type Output } from './progress.ts';
import { renderSummary } from './render-summary.ts';
import type { LoadRun } from './run.ts';
import { sendTasks } from './send-tasks.ts';
import { type LoadSummary, summarize, summarizeUnreachable } from './summary.ts';
import { verifyTasks } from './verify-tasks.ts';

export interface LoadIo {
  /** Receives the summary and nothing else. */
  readonly stdout: Output;
  /** Receives progress and, when the run was not good, the reason. */
  readonly stderr: Output;
}

/**
 * Floods the server at `options.url` and proves by counting that nothing it accepted was lost. Faults of the server
 * are reported in the summary; `EXIT_CODES[summary.outcome]` is the exit code.
 */
export async function runLoad(options: LoadOptions, io: LoadIo): Promise<LoadSummary> {
  const now = (): number => performance.now();
  const client = createHttpClient(options.url, options.inFlight, options.requestTimeoutMs, options.key);
  const signal = options.signal ?? new AbortController().signal;
  // Each loop adds one listener while it pauses; Node would warn of a leak at more than ten.
  setMaxListeners(options.inFlight + 10, signal);
  const onAbort = (): void => client.close();
  signal.addEventListener('abort', onAbort);
  try {
    const run: LoadRun = { options, client, signal, now, progress: createProgress(io.stderr, now) };
    const summary = await runPhases(run);
    report(summary, options, io);
    return summary;
  } finally {
    signal.removeEventListener('abort', onAbort);
    client.close();
  }
}

async function runPhases(run: LoadRun): Promise<LoadSummary> {
  const { options, client, signal, now } = run;
  const hello = await client.get(queuePath(run));
  if (hello.kind !== 'answer') return summarizeUnreachable(options, hello.reason);
  const before = readQueueSight(hello);

  const sent = await sendTasks(run);
  if (!options.wait || signal.aborted || sent.acceptedIds.length === 0) return summarize(options, sent, null);

  const deadline = now() + options.drainTimeoutMs;
  await drainQueue(run, sent.acceptedIds, before, deadline);
  const verified = await verifyTasks(run, sent.acceptedIds, deadline);
  return summarize(options, sent, signal.aborted ? null : verified);
}

function report(summary: LoadSummary, options: LoadOptions, io: LoadIo): void {
  if (options.json) io.stdout.write(`${JSON.stringify(summary, null, 2)}\n`);
  else if (summary.sent > 0) io.stdout.write(renderSummary(summary));
  const prefix = summary.outcome === 'ok' ? '' : 'error: ';
  io.stderr.write(`${prefix}${summary.message}\n`);
}
