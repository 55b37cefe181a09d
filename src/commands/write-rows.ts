import type { Column, Printer } from './printer.ts';

/** Rows of a list, unless `--limit` says otherwise. */
export const ROWS_SHOWN = 50;
/** The largest `--limit`. */
export const MOST_ROWS = 100_000;

/** Writes the first items of a list as a table or a document, and says so when there are none, or more. */
export async function writeRows<Row>(
  printer: Printer,
  columns: readonly Column<Row>[],
  rows: AsyncIterable<Row>,
  { limit, none }: { readonly limit: number; readonly none: string },
): Promise<void> {
  const { items, hasMore } = await firstOf(rows, limit);
  writeItems(printer, columns, items, none);
  if (hasMore) sayMore(printer, limit);
}

/** The first rows of a list. Whether there are more, one more row shows, which mostly has come in the same page. */
export async function firstOf<Row>(
  rows: AsyncIterable<Row>,
  limit: number,
): Promise<{ readonly items: readonly Row[]; readonly hasMore: boolean }> {
  const items: Row[] = [];
  for await (const row of rows) {
    if (items.length >= limit) return { items, hasMore: true };
    items.push(row);
  }
  return { items, hasMore: false };
}

/** Says, also to who reads a pipe, that the list goes on. */
export function sayMore(printer: Printer, limit: number): void {
  const next = Math.min(10 * limit, MOST_ROWS);
  const how = next > limit ? `: --limit ${next} shows up to ${next}` : '';
  printer.say(`There are more${how}.`, 'yellow');
}

/** Writes a list as a table or a document, and says so when it is empty. */
export function writeItems<Row>(
  printer: Printer,
  columns: readonly Column<Row>[],
  items: readonly Row[],
  none: string,
): void {
  if (printer.json) printer.document({ items });
  else printer.table(columns, items);
  if (!printer.json && items.length === 0) printer.say(none, 'dim');
}
