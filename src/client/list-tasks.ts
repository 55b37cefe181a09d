import type { TaskRow } from './shapes.ts';
import type { Transport } from './transport.ts';

export interface ListOptions {
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
  readonly signal?: AbortSignal | undefined;
}

interface Page {
  readonly items: readonly TaskRow[];
  readonly next?: string;
}

const ROWS_A_PAGE = 200;

/**
 * Tasks of a queue without their payloads. Dead ones come newest first, scheduled ones by their due time.
 * @throws ApiError
 */
export async function* listTasks(
  transport: Transport,
  { signal, ...filter }: ListOptions,
): AsyncGenerator<TaskRow, void, void> {
  let cursor: string | undefined;
  do {
    const page: Page = await transport.json({
      path: '/v1/tasks',
      query: { ...filter, limit: ROWS_A_PAGE, cursor },
      signal,
    });
    yield* page.items;
    cursor = page.next;
  } while (cursor !== undefined);
}
