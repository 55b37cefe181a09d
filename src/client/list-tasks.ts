import { pagesOf } from './pages.ts';
import type { TaskRow } from './shapes.ts';
import type { CallOptions, Transport } from './transport.ts';

/** Conditions that hold together. */
export interface ListOptions extends CallOptions {
  /** `default` unless given. */
  readonly queue?: string | undefined;
  readonly state?: string | undefined;
  readonly type?: string | undefined;
  /** With this tag. */
  readonly tag?: string | undefined;
  /** With this value of a field that the definition declares, as `customer:4711`. */
  readonly field?: string | undefined;
  /** Dead ones whose error has this name. */
  readonly error?: string | undefined;
  /** Dead ones of one group of errors. */
  readonly fingerprint?: string | undefined;
  /** RFC 3339: accepted then or later. */
  readonly acceptedAfter?: string | undefined;
  /** RFC 3339: accepted before. */
  readonly acceptedBefore?: string | undefined;
}

/**
 * Tasks of a queue without their payloads. Dead ones, and those that a tag, a field or an error finds, come newest first, scheduled ones by
 * their due time. All others come in pages that each have the newest of their own first.
 * @throws ApiError
 */
export function listTasks(
  transport: Transport,
  { signal, ...query }: ListOptions,
): AsyncGenerator<TaskRow, void, void> {
  return pagesOf(transport, '/v1/tasks', { ...query }, signal);
}
