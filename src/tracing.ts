// Spans of OpenTelemetry: one for the acceptance of a task, one for each of its runs, joined by the `traceparent` that the task
// carries. Names and attributes follow its conventions for messaging
// (https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/).

import type { Span as ApiSpan, SpanContext, SpanOptions } from '@opentelemetry/api';
import { VERSION } from './version.ts';

/** Where an SDK registers itself, whichever copy of the API it has. */
const REGISTERED = Symbol.for('opentelemetry.js.api.1');
/** `undefined`: no SDK was registered before this module was loaded, and nothing is traced. */
const api = REGISTERED in globalThis ? await import('@opentelemetry/api') : undefined;

/** A valid `traceparent` (https://www.w3.org/TR/trace-context/#traceparent-header): ids of trace and span, and flags. */
export const TRACEPARENT =
  /^(?!ff)[0-9a-f]{2}-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-([0-9a-f]{2})$/;

export const IS_TRACING: boolean = api !== undefined;

type Attributes = Readonly<Record<string, string | number>>;

export interface Span {
  /** W3C trace context of this span, for what happens because of it. */
  readonly traceparent: string;
  set(attributes: Attributes): void;
  /** @param fault marks the span as failed */
  end(fault?: { readonly name: string; readonly message: string }): void;
}

/**
 * Begins the span of a task's acceptance, below the span that is active here or else below the request's.
 * @param traceparent of the request
 * @returns `undefined` when nothing is traced
 */
export function startSend(type: string, traceparent: string | undefined): Span | undefined {
  if (!api) return undefined;
  const isActive = api.trace.getActiveSpan() !== undefined;
  const attributes = { 'messaging.operation.type': 'send', 'popfleet.task.type': type };
  const options = { kind: api.SpanKind.PRODUCER, attributes };
  return startSpan(`send ${type}`, options, isActive ? undefined : readTraceparent(traceparent));
}

/**
 * Begins the span of a run, below that of the acceptance and linked with it.
 * @param traceparent that the task carries
 * @returns `undefined` when nothing is traced
 */
export function startRun(
  { queue, id, type, attempt }: { queue: string; id: string; type: string; attempt: number },
  traceparent: string | undefined,
): Span | undefined {
  if (!api) return undefined;
  const accepted = readTraceparent(traceparent);
  const span = startSpan(
    `process ${type}`,
    {
      kind: api.SpanKind.CONSUMER,
      attributes: {
        'messaging.operation.type': 'process',
        'popfleet.task.type': type,
        'popfleet.task.attempt': attempt,
      },
      links: accepted ? [{ context: accepted }] : [],
    },
    accepted,
  );
  span.set(attributesOf(queue, id));
  return span;
}

/** What names a task in a span. */
export function attributesOf(queue: string, id: string): Attributes {
  return { 'messaging.destination.name': queue, 'messaging.message.id': id };
}

/** Calls `work` so that spans it begins are below that of `traceparent`. */
export function below<T>(traceparent: string | undefined, work: () => T): T {
  const parent = api && readTraceparent(traceparent);
  if (!api || !parent) return work();
  return api.context.with(api.trace.setSpanContext(api.context.active(), parent), work);
}

/** @param parent `undefined`: what is active here */
function startSpan(name: string, options: SpanOptions, parent: SpanContext | undefined): Span {
  const { context, trace, SpanStatusCode } = api as NonNullable<typeof api>;
  const above = parent ? trace.setSpanContext(context.active(), parent) : context.active();
  const span = trace.getTracer('popfleet', VERSION).startSpan(name, options, above);
  span.setAttribute('messaging.system', 'popfleet');
  return {
    traceparent: writeTraceparent(span),
    set: (attributes) => void span.setAttributes({ ...attributes }),
    end(fault) {
      if (fault) {
        span.recordException({ name: fault.name, message: fault.message });
        span.setStatus({ code: SpanStatusCode.ERROR, message: fault.message });
      }
      span.end();
    },
  };
}

function readTraceparent(text: string | undefined): SpanContext | undefined {
  const [, traceId = '', spanId = '', flags = ''] = TRACEPARENT.exec(text ?? '') ?? [];
  if (traceId === '') return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
}

function writeTraceparent(span: ApiSpan): string {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}
