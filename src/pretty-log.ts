// Log lines as a person reads them at a terminal: made of the JSON lines that pino writes.

import { stripVTControlCharacters } from 'node:util';
import type { DestinationStream } from 'pino';

const LEVELS: Readonly<Record<number, readonly [name: string, color: string]>> = {
  10: ['TRACE', '90'],
  20: ['DEBUG', '90'],
  30: ['INFO ', '32'],
  40: ['WARN ', '33'],
  50: ['ERROR', '31'],
  60: ['FATAL', '41'],
};
const DIM = '2';

/** Members that are the same in each line of a process, or shown elsewhere in the line. */
const LEFT_OUT: ReadonlySet<string> = new Set(['level', 'time', 'pid', 'msg', 'role']);
const ERRORS: ReadonlySet<string> = new Set(['err', 'error']);

/**
 * @param destination takes the readable lines, each with its line break
 * @param colors whether to write escape sequences for colors
 */
export function createPrettyStream(destination: DestinationStream, colors: boolean): DestinationStream {
  return { write: (line) => destination.write(prettyLine(line, colors)) };
}

/** A line of pino as readable text; one that is no JSON stays as it is. */
export function prettyLine(line: string, colors: boolean): string {
  let entry: Record<string, unknown>;
  try {
    entry = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return line;
  }
  const paint = (color: string, text: string): string => (colors ? `\u001B[${color}m${text}\u001B[0m` : text);
  const [level, color] = LEVELS[Number(entry['level'])] ?? ['     ', DIM];
  const fields = Object.entries(entry).filter(([name]) => !LEFT_OUT.has(name) && !ERRORS.has(name));
  const said = [
    paint(DIM, timeOf(entry['time'])),
    paint(color, level),
    printable(entry['msg']),
    ...fields.map(([name, value]) => paint(DIM, `${name}=${printable(value)}`)),
  ];
  const errors = [...ERRORS].flatMap((name) => errorLines(entry[name], ''));
  return `${[said.join(' '), ...errors.map((text) => `    ${text}`)].join('\n')}\n`;
}

/** Time of day in the local time zone. */
function timeOf(time: unknown): string {
  const at = new Date(Number(time));
  const digits = (value: number, count = 2): string => String(value).padStart(count, '0');
  return `${digits(at.getHours())}:${digits(at.getMinutes())}:${digits(at.getSeconds())}.${digits(at.getMilliseconds(), 3)}`;
}

function errorLines(error: unknown, before: string): string[] {
  if (typeof error !== 'object' || error === null)
    return error === undefined ? [] : [before + printable(error)];
  const { name, type, message, code, stack, at, cause, errors } = error as Record<string, unknown>;
  const text = printable(message);
  const codeText = typeof code === 'string' && !text.includes(code) ? ` (${printable(code)})` : '';
  const frames = typeof stack === 'string' ? stack.split('\n').filter((frame) => /^\s+at /.test(frame)) : [];
  return [
    `${before}${printable(name ?? type)}: ${text}${codeText}`,
    ...frames.map((frame) => `  ${printable(frame.trim())}`),
    ...(at === undefined ? [] : [`  at ${printable(at)}`]),
    ...(Array.isArray(errors) ? errors.flatMap((one) => errorLines(one, '- ')) : []),
    ...errorLines(cause, 'caused by '),
  ];
}

/** Replaces control characters: a handler's text could move the cursor with them, or imitate a line of the log. */
function printable(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  return stripVTControlCharacters(text)
    .replaceAll(/\r?\n/g, ' ↵ ')
    .replaceAll('\t', ' ')
    .replaceAll(/\p{Cc}/gu, '\uFFFD');
}
