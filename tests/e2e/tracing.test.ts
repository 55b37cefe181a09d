// With an SDK of OpenTelemetry, the acceptance and the runs of a task are spans of the caller's trace.

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { call, post } from '../support/http.ts';
import { openStage } from '../support/stage.ts';

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const CALLER_SPAN = '00f067aa0ba902b7';
const HEADERS = { traceparent: `00-${TRACE_ID}-${CALLER_SPAN}-01` };

interface Ended {
  readonly name: string;
  readonly kind: number;
  readonly attributes: Record<string, unknown>;
  readonly links: readonly { context: { spanId: string } }[];
  readonly status: { code: number; message?: string };
  readonly parentSpanContext?: { spanId: string };
  readonly spanContext: { traceId: string; spanId: string };
}
const PRODUCER = 3;
const CONSUMER = 4;
const FAILED = 2;

test('a task is a span where it is accepted and one for each run, in the trace of its caller; a handler’s spans are below', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const folder = await mkdtemp(join(tmpdir(), 'popfleet-spans-'));
  stage.atEnd(() => rm(folder, { recursive: true }));
  const file = join(folder, 'spans');
  const env = {
    REDIS_URL: redis.url,
    TASKS: fixture('traced.mjs'),
    SPANS: file,
    NODE_OPTIONS: `--import=${pathToFileURL(fixture('tracing.mjs')).href}`,
  };
  const { url } = await stage.role('all', env);
  const spansOf = async (id: string): Promise<Ended[]> => {
    const lines = (await readFile(file, 'utf8')).trim().split('\n');
    const spans = lines.map((line) => JSON.parse(line) as Ended);
    const mine = spans.filter(({ attributes }) => attributes['messaging.message.id'] === id);
    const run = mine.find(({ kind }) => kind === CONSUMER);
    const below = spans.filter((one) => run && one.parentSpanContext?.spanId === run.spanContext.spanId);
    return [...mine, ...below];
  };
  const whole = (id: string): Promise<Ended[]> =>
    eventually(async () => {
      const spans = await spansOf(id);
      return spans.length === 3 && spans;
    });

  for (const type of ['charge', 'charge-inline']) {
    const { body } = await post(`${url()}/v1/tasks?wait=30`, { type, input: {} }, HEADERS);
    const id = String(body['id']);
    const [send, run, own] = (await whole(id)).toSorted((one, other) => order(one) - order(other)) as [
      Ended,
      Ended,
      Ended,
    ];
    expect([send, run, own].map(({ spanContext }) => spanContext.traceId)).toEqual([
      TRACE_ID,
      TRACE_ID,
      TRACE_ID,
    ]);
    expect(send).toMatchObject({ name: `send ${type}`, parentSpanContext: { spanId: CALLER_SPAN } });
    expect(send.attributes).toMatchObject({
      'messaging.system': 'popfleet',
      'messaging.operation.type': 'send',
      'messaging.destination.name': 'default',
      'popfleet.task.type': type,
    });
    expect(run).toMatchObject({
      name: `process ${type}`,
      parentSpanContext: { spanId: send.spanContext.spanId },
      links: [{ context: { spanId: send.spanContext.spanId } }],
      attributes: { 'popfleet.task.attempt': 1, 'popfleet.run.end': 'succeeded' },
    });
    expect(own).toMatchObject({ name: 'charge the card' });
    // What the handler passes on by itself.
    expect(body['result']).toBe(`00-${TRACE_ID}-${run.spanContext.spanId}-01`);
  }

  // Without a caller's trace, each task has one of its own; in a batch too.
  const batch = [
    { type: 'charge', input: { fails: true } },
    { type: 'charge', input: {} },
  ];
  const sent = await post(`${url()}/v1/tasks/batch`, batch);
  const ids = (sent.body['items'] as { id: string }[]).map(({ id }) => id);
  const traces = await Promise.all(ids.map(whole));
  const failed = (traces[0] ?? []).find(({ kind }) => kind === CONSUMER);
  expect(failed?.status).toEqual({ code: FAILED, message: 'the card is refused' });
  expect(new Set(traces.flat().map(({ spanContext }) => spanContext.traceId)).size).toBe(2);
  expect((await call(`${url()}/v1/tasks/${ids[0]}`)).body['traceparent']).toContain(
    traces[0]?.find(({ kind }) => kind === PRODUCER)?.spanContext.spanId,
  );

  // A child, a member of a batch and the step of a workflow have them too, under the ids that they get when they are sent.
  const parent = await post(`${url()}/v1/tasks?wait=30`, { type: 'spawns', input: {} });
  const batched = await post(`${url()}/v1/batches`, {});
  const members = await post(`${url()}/v1/batches/${String(batched.body['id'])}/tasks`, batch.slice(1));
  const flow = await post(`${url()}/v1/workflows`, { tasks: { only: { type: 'charge', input: {} } } });
  const [member] = members.body['items'] as { id: string }[];
  const [step] = flow.body['steps'] as { task: string }[];
  for (const id of [String(parent.body['result']), member?.id ?? '', step?.task ?? '']) {
    const [send, run] = (await whole(id)).toSorted((one, other) => order(one) - order(other));
    expect(send).toMatchObject({ name: 'send charge', kind: PRODUCER });
    expect(run?.parentSpanContext).toEqual(expect.objectContaining({ spanId: send?.spanContext.spanId }));
  }
});

/** The acceptance first, then the run, then what is below that. */
function order({ kind }: Ended): number {
  return kind === PRODUCER ? 0 : kind === CONSUMER ? 1 : 2;
}
