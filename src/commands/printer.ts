// What commands write: data to stdout, words to stderr; for people at a terminal, for programs in a pipe or with --json.

import type { Output, Terminal } from './terminal.ts';

/** SGR parameters (ECMA-48, 8.3.117). */
const STYLES = { red: 31, green: 32, yellow: 33, bold: 1, dim: 2 } as const;
export type Style = keyof typeof STYLES;

export interface Column<Row> {
  readonly title: string;
  /** What is empty shows as `-` at a terminal. */
  text(row: Row): string | number | undefined;
  style?(row: Row): Style | undefined;
}

export interface Printer {
  /** Whether stdout is to be JSON. */
  readonly json: boolean;
  /** Whether stdout is a terminal, and is read by a person. */
  readonly isTerminal: boolean;
  /** Writes one JSON document: a line of its own where it stands in a pipe. */
  document(value: unknown): void;
  /** Writes one JSON document as one line: an item of a sequence. */
  item(value: unknown): void;
  /** Writes a line to stdout. Control characters of texts that come from elsewhere do not reach the terminal. */
  line(text: string, style?: Style): void;
  /** Writes a record as a line, with tabs between in a pipe. */
  record(cells: readonly string[], style?: Style): void;
  /** Writes a table; in a pipe a record a line, with tabs between and without titles. */
  table<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): void;
  /** The lines of such a table. */
  tableLines<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string[];
  /** Tells a person something on stderr. */
  say(text: string, style?: Style): void;
}

interface PrinterOptions {
  readonly json: boolean;
  readonly color: boolean;
}

const GAP = '  ';
const NOTHING = '-';

export function createPrinter({ stdout, stderr, env }: Terminal, { json, color }: PrinterOptions): Printer {
  const isTerminal = stdout.isTTY === true;
  const onStdout = painterFor(stdout, env, color);
  const onStderr = painterFor(stderr, env, color);

  function tableLines<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string[] {
    const cells = rows.map((row) => columns.map((column) => cleaned(String(column.text(row) ?? ''))));
    if (!isTerminal) return cells.map((row) => row.join('\t'));
    const widths = columns.map(({ title }, at) =>
      Math.max(title.length, ...cells.map((row) => (row[at] || NOTHING).length)),
    );
    const room = stdout.columns || Number.POSITIVE_INFINITY;
    const before = widths.slice(0, -1).reduce((sum, width) => sum + width + GAP.length, 0);
    const last = columns.length - 1;
    const fit = (text: string, at: number): string =>
      at < last ? text.padEnd(widths[at] ?? 0) : shortened(text, Math.max(10, room - before));
    const titles = columns.map(({ title }, at) => onStdout(fit(title, at), 'bold'));
    const body = cells.map((row, at) =>
      row.map((text, column) => {
        const style = columns[column]?.style?.(rows[at] as Row);
        return onStdout(fit(text || NOTHING, column), style);
      }),
    );
    return [titles, ...body].map((line) => line.join(GAP).trimEnd());
  }

  const write = (text: string): void => void stdout.write(`${text}\n`);
  return {
    json,
    isTerminal,
    document: (value) => write(toJson(value, isTerminal ? 2 : 0)),
    item: (value) => write(toJson(value, 0)),
    line: (text, style) => write(onStdout(cleaned(text), style)),
    record: (cells, style) => write(onStdout(cells.map(cleaned).join(isTerminal ? GAP : '\t'), style)),
    tableLines,
    table(columns, rows) {
      for (const line of tableLines(columns, rows)) write(line);
    },
    say: (text, style) => void stderr.write(`${onStderr(cleanedLines(text), style)}\n`),
  };
}

type Painter = (text: string, style?: Style) => string;

/** Colours only at a terminal that has them: `NO_COLOR` and `TERM=dumb` have none. */
function painterFor(stream: Output, env: Terminal['env'], color: boolean): Painter {
  const hasColors = color && stream.isTTY === true && (stream.hasColors?.(env) ?? false);
  return (text, style) =>
    hasColors && style !== undefined ? `\u001b[${STYLES[style]}m${text}\u001b[0m` : text;
}

/** C0, DEL and C1, the line ends of Unicode, and what turns the direction of text around. */
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;
const BEYOND_C0 = /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** A text from elsewhere as one line: it can neither move the cursor nor end its record. */
export function cleaned(text: string): string {
  return text.replaceAll(CONTROL, ' ');
}

/** JSON escapes C0 itself, and the other control characters may be escaped as well. */
function toJson(value: unknown, indent: number): string {
  return (JSON.stringify(value, undefined, indent) ?? 'null').replaceAll(
    BEYOND_C0,
    (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function cleanedLines(text: string): string {
  return text.split('\n').map(cleaned).join('\n');
}

function shortened(text: string, room: number): string {
  return text.length <= room ? text : `${text.slice(0, room - 1)}…`;
}
