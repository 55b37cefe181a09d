// The span of a run whose runner itself fails: a process cannot be started, for one.

import { trace } from '@opentelemetry/api';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { expect, test } from 'vitest';
import { type Runner, StopSource } from '../../src/worker/runners/runner.ts';
import { jobOf } from '../support/thread-pool.ts';

const spans = new InMemorySpanExporter();
trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] }));
// Whether there is an SDK is asked when it is loaded.
const { traced } = await import('../../src/worker/runners/traced-runner.ts');

const FAULT = new Error('no process can be started');

test.each<[string, Runner['run']]>([
  ['later', () => Promise.reject(FAULT)],
  [
    'at once',
    () => {
      throw FAULT;
    },
  ],
])('a runner that fails %s: the span ends with its fault, which is thrown on', async (_, run) => {
  spans.reset();
  const runner = traced({ run });
  await expect(async () => runner.run(jobOf(1, 'greet', {}), new StopSource())).rejects.toBe(FAULT);
  expect(spans.getFinishedSpans()).toMatchObject([
    { name: 'process greet', status: { message: FAULT.message } },
  ]);
});
