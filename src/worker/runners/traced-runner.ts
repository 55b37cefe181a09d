// A runner with a span for each run.

import { hasOptions, optionsOfContent } from '../../protocol/message.ts';
import { toTaskError } from '../../protocol/task-error.ts';
import { IS_TRACING, startRun } from '../../tracing.ts';
import type { Job, RunEnd, Runner } from './runner.ts';

/** The same runner, traced when the program has registered an SDK of OpenTelemetry. */
export function traced(runner: Runner): Runner {
  if (!IS_TRACING) return runner;
  return {
    run(job, stop) {
      const span = startRun(job, traceparentOf(job));
      if (!span) return runner.run(job, stop);
      const ended = (end: RunEnd): RunEnd => {
        span.set({ 'popfleet.run.end': end.kind });
        span.end(faultOf(end));
        return end;
      };
      const broke = (thrown: unknown): never => {
        span.end(toTaskError(thrown));
        throw thrown;
      };
      try {
        const run = runner.run({ ...job, traceparent: span.traceparent }, stop);
        return run instanceof Promise ? run.then(ended, broke) : ended(run);
      } catch (error) {
        return broke(error);
      }
    },
  };
}

/** Options that cannot be read have none. */
function traceparentOf({ content }: Job): string | undefined {
  try {
    const { traceparent } = hasOptions(content) ? optionsOfContent(content) : {};
    return typeof traceparent === 'string' ? traceparent : undefined;
  } catch {
    return undefined;
  }
}

function faultOf(end: RunEnd): { name: string; message: string } | undefined {
  switch (end.kind) {
    case 'failed':
      return end.error;
    case 'killed':
      return { name: 'Stopped', message: `it was stopped: ${end.stop.reason}` };
    case 'process-lost':
      return end.error;
    case 'thread-lost':
      return { name: 'ThreadLost', message: `its thread was lost: ${end.cause}` };
    case 'succeeded':
    case 'snoozed':
    case 'suspended':
    case 'displaced':
    case 'not-begun':
      return undefined;
  }
}
