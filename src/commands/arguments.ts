// Parsers for options and arguments of the command line. Each says in one sentence what to write.

import { InvalidArgumentError } from 'commander';

const UNITS = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

const MOMENT_FAULT = 'It must be how long ago, such as 1h or 2d, or a date, such as 2026-05-01T09:00:00Z.';
/** The largest moment of ECMAScript, in milliseconds since 1970. */
const LATEST_MS = 8.64e15;

/** `30s`, `10m`, `1h`, `500ms`, `2d`; a number alone is seconds. @returns milliseconds */
export function duration(text: string): number {
  const [, number = '', unit = 's'] = /^(\d{1,12}(?:\.\d{1,3})?)(ms|s|m|h|d)?$/.exec(text) ?? [];
  if (number === '') throw new InvalidArgumentError('It must be a duration, such as 30s, 10m or 500ms.');
  return Math.round(Number(number) * (UNITS.get(unit) ?? 1_000));
}

/** As `duration` reads it: a whole number of the largest unit that fits. */
export function durationText(ms: number): string {
  const fitting = [...UNITS].findLast(([, size]) => ms % size === 0);
  return fitting === undefined ? `${ms}ms` : `${ms / fitting[1]}${fitting[0]}`;
}

/** A moment: RFC 3339, a date, or how long ago (`1h`, `2d`). @returns RFC 3339 */
export function moment(text: string): string {
  const isDate = /^\d{4}-\d\d-\d\d(?:T.*)?$/.test(text);
  const ms = isDate ? Date.parse(text) : Date.now() - agoOf(text);
  if (Number.isFinite(ms) && Math.abs(ms) <= LATEST_MS) return new Date(ms).toISOString();
  throw new InvalidArgumentError(MOMENT_FAULT);
}

function agoOf(text: string): number {
  if (/^\d+(?:\.\d+)?(?:ms|s|m|h|d)$/.test(text)) return duration(text);
  throw new InvalidArgumentError(MOMENT_FAULT);
}

/** A moment to come: RFC 3339, a date, or how far ahead (`1h`, `7d`). @returns RFC 3339 */
export function comingMoment(text: string): string {
  const isDate = /^\d{4}-\d\d-\d\d(?:T.*)?$/.test(text);
  const isAhead = /^\d+(?:\.\d+)?(?:ms|s|m|h|d)$/.test(text);
  const ms = isDate ? Date.parse(text) : isAhead ? Date.now() + duration(text) : Number.NaN;
  if (ms > Date.now() && ms <= LATEST_MS) return new Date(ms).toISOString();
  throw new InvalidArgumentError(
    'It must be how far ahead, such as 8h or 7d, or a date that is still to come.',
  );
}

export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const number = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (number >= min && number <= max) return number;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

export function matching(pattern: RegExp): (text: string) => string {
  return (text) => {
    if (pattern.test(text)) return text;
    throw new InvalidArgumentError(`It must match ${pattern.source}.`);
  };
}

/** Of an option that may be given several times. */
export function another(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

export function httpUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !['http:', 'https:'].includes(url.protocol) || url.search !== '' || url.hash !== '') {
    throw new InvalidArgumentError('It must be an http or https address, such as http://127.0.0.1:3000.');
  }
  return url;
}
