// Acceptance with a span for each task, which it carries to its runs as `traceparent`.

import { attributesOf, IS_TRACING, type Span, startSend } from '../tracing.ts';
import type { Accept } from './accept.ts';
import type { Prepared } from './new-task.ts';

/** The same acceptance, traced when the program has registered an SDK of OpenTelemetry. */
export function traced(accept: Accept): Accept {
  if (!IS_TRACING) return accept;
  /**
   * By the bytes of their contents: a child, or a member of a batch, is sent as another object, under another id. One that is not sent
   * (a dry run, a repeat) never ends, and no SDK reports it.
   */
  const spans = new WeakMap<Uint8Array, Span>();

  function end(tasks: readonly Prepared[], fault?: Error): void {
    for (const { queue, task } of tasks) {
      const span = spans.get(task.content);
      span?.set(attributesOf(queue, task.id));
      span?.end(fault);
    }
  }

  async function ending<T>(work: Promise<T>, tasks: readonly Prepared[]): Promise<T> {
    try {
      const done = await work;
      end(tasks);
      return done;
    } catch (error) {
      end(tasks, error instanceof Error ? error : undefined);
      throw error;
    }
  }

  return {
    ...accept,
    prepare(call, sender, position, step) {
      const span = startSend(call.type, sender.traceparent);
      const prepared = accept.prepare(call, { ...sender, traceparent: span?.traceparent }, position, step);
      if (span) spans.set(prepared.task.content, span);
      return prepared;
    },
    around: (tasks, send) => ending(accept.around(tasks, send), tasks),
    send: (prepared) => ending(accept.send(prepared), [prepared]),
    sendMany(count, taskAt, advice) {
      const tasks: Prepared[] = [];
      const noted = (index: number): Prepared => {
        const task = taskAt(index);
        tasks.push(task);
        return task;
      };
      return ending(accept.sendMany(count, noted, advice), tasks);
    },
  };
}
