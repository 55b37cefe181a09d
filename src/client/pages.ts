import type { ApiRequest, Transport } from './transport.ts';

interface Page<Item> {
  readonly items: readonly Item[];
  /** `cursor` of the next page. */
  readonly next?: string;
}

const ROWS_A_PAGE = 200;

/** The items of a list that comes in one piece. @throws ApiError */
export async function listOf<Item>(transport: Transport, request: ApiRequest): Promise<readonly Item[]> {
  return (await transport.json<{ readonly items: readonly Item[] }>(request)).items;
}

/** The items of a list, page after page as they are read. @throws ApiError */
export async function* pagesOf<Item>(
  transport: Transport,
  path: string,
  query: ApiRequest['query'],
  signal: AbortSignal | undefined,
): AsyncGenerator<Item, void, void> {
  let cursor: string | undefined;
  do {
    const page: Page<Item> = await transport.json({
      path,
      query: { ...query, limit: ROWS_A_PAGE, cursor },
      signal,
    });
    yield* page.items;
    cursor = page.next;
  } while (cursor !== undefined);
}
