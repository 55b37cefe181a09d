import type { Column, Printer } from './printer.ts';

/** Writes the first items of a list as a table or a document, and says so when there are none. */
export async function writeRows<Row>(
  printer: Printer,
  columns: readonly Column<Row>[],
  rows: AsyncIterable<Row>,
  { limit, none }: { readonly limit: number; readonly none: string },
): Promise<void> {
  const items: Row[] = [];
  for await (const row of rows) {
    items.push(row);
    if (items.length >= limit) break;
  }
  writeItems(printer, columns, items, none);
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
