// Cron patterns: croner parses them and finds their local times; this module finds the instants of these in a time zone.

import { Cron } from 'croner';
import { instantsOf, latestLocalTime, nextRepetition, offsetOf } from './time-zone.ts';

/** Most patterns that are kept parsed; croner takes 80 KB for each. */
const PATTERNS_KEPT = 50;

/** The fields in their order, with their numbers (crontab(5)); croner counts months and days from 0 in its messages. */
const FIELDS = [
  { name: 'second', from: 0, to: 59 },
  { name: 'minute', from: 0, to: 59 },
  { name: 'hour', from: 0, to: 23 },
  { name: 'day', from: 1, to: 31 },
  { name: 'month', from: 1, to: 12 },
  { name: 'dayOfWeek', from: 0, to: 7 },
] as const;

/** Names of whole patterns (crontab(5)). */
const NICKNAMES = ['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly'];
const NAMES = ['sun mon tue wed thu fri sat', 'jan feb mar apr may jun jul aug sep oct nov dec'].join(' ');

interface Pattern {
  /** The first local time of the pattern after another one. */
  next(localTime: number): number | undefined;
  /** Whether seconds, minutes and hours have neither wildcard nor step: the pattern means times of day. */
  readonly isFixed: boolean;
  /** The latest results by zone and instant, because many schedules have the same pattern. */
  readonly answers: Map<string, number | undefined>;
}

/** Results kept for a pattern: more than the skipped ticks that are counted. */
const ANSWERS_KEPT = 200;

const patterns = new Map<string, Pattern>();

/**
 * The first tick after an instant, in milliseconds since 1970; `undefined` when there is none any more.
 *
 * A pattern of fixed times runs once for each local time that it names: when that comes again, at its first occurrence;
 * when it is left out, at the first instant after it. All others run whenever the zone's clock shows a time that fits.
 *
 * @throws Error when the pattern or the zone cannot be read
 */
export function nextCronTick(cron: string, zone: string, after: number): number | undefined {
  const pattern = patternOf(cron);
  const question = `${zone} ${after}`;
  if (pattern.answers.has(question)) return pattern.answers.get(question);
  const tick = pattern.isFixed ? nextFixed(pattern, zone, after) : nextShown(pattern, zone, after);
  if (pattern.answers.size >= ANSWERS_KEPT) pattern.answers.clear();
  pattern.answers.set(question, tick);
  return tick;
}

function nextFixed(pattern: Pattern, zone: string, after: number): number | undefined {
  for (let localTime: number | undefined = latestLocalTime(zone, after); ; ) {
    localTime = pattern.next(localTime);
    if (localTime === undefined) return undefined;
    const { passed } = instantsOf(zone, localTime);
    if (passed > after) return passed;
  }
}

function nextShown(pattern: Pattern, zone: string, after: number): number | undefined {
  const tick = firstShown(pattern, zone, after + offsetOf(zone, after), after);
  // Local times before the present one come again when the clock is set back.
  const repetition = nextRepetition(zone, after);
  if (!repetition || (tick ?? Infinity) < repetition.at) return tick;
  const again = firstShown(pattern, zone, repetition.at + repetition.after - 1, repetition.at - 1);
  return Math.min(tick ?? Infinity, again ?? Infinity);
}

/** The first instant after `after` at which the zone's clock shows a time of the pattern that is later than `localTime`. */
function firstShown(pattern: Pattern, zone: string, localTime: number, after: number): number | undefined {
  for (let time: number | undefined = localTime; ; ) {
    time = pattern.next(time);
    if (time === undefined) return undefined;
    const { shown, passed } = instantsOf(zone, time);
    const tick = shown.find((instant) => instant > after);
    if (tick !== undefined) return tick;
    // The local time is left out: the next one is that to which the clock is set forward.
    if (shown.length === 0) time = passed + offsetOf(zone, passed) - 1;
  }
}

function patternOf(cron: string): Pattern {
  const known = patterns.get(cron);
  if (known) return known;
  const parsed = new Cron(cron, { utcOffset: 0, paused: true });
  const pattern: Pattern = {
    next: (localTime) => parsed.nextRun(new Date(localTime))?.getTime(),
    isFixed: hasFixedTimes(cron),
    answers: new Map(),
  };
  if (patterns.size >= PATTERNS_KEPT) patterns.delete(patterns.keys().next().value ?? '');
  patterns.set(cron, pattern);
  return pattern;
}

function hasFixedTimes(cron: string): boolean {
  if (cron.startsWith('@')) return cron.toLowerCase() !== '@hourly';
  const fields = cron.split(/\s+/);
  return !/[*?/]/.test(fields.slice(0, fields.length - 3).join(' '));
}

/**
 * The fault of a pattern, in the terms of crontab; `undefined` when it is valid.
 * @param cron without blanks around
 */
export function faultOfCron(cron: string): string | undefined {
  return (
    faultOfPattern(cron) ?? (patternOf(cron).next(Date.now()) === undefined ? 'never comes due' : undefined)
  );
}

/** As `faultOfCron`, but a pattern with a day that never comes is valid. */
export function faultOfPattern(cron: string): string | undefined {
  if (cron.startsWith('@')) {
    if (NICKNAMES.includes(cron.toLowerCase())) return undefined;
    return `is no cron pattern: there is no ${cron}, only ${NICKNAMES.join(', ')}`;
  }
  const fields = cron.split(/\s+/);
  // croner also accepts years and single dates.
  if (fields.length !== 5 && fields.length !== 6) return 'must have five or six fields';
  const fault = faultOfNumbers(fields);
  if (fault !== undefined) return `is no cron pattern: ${fault}`;
  try {
    patternOf(cron);
    return undefined;
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^CronPattern: /, '') : 'it cannot be read';
    return `is no cron pattern: ${asWritten(reason, fields)}`;
  }
}

/** Finds numbers outside of their field, steps longer than the field, and ranges without an end. */
function faultOfNumbers(fields: readonly string[]): string | undefined {
  for (const [at, field] of fields.entries()) {
    const { name, from, to } = FIELDS[at + FIELDS.length - fields.length] ?? FIELDS[0];
    for (const item of field.split(',')) {
      const [values = '', step] = item.split('/');
      if (/^-|-$/.test(values)) return `Invalid range for ${name}: ${item}`;
      const wrong = (values.split('#')[0]?.match(/\d+/g) ?? []).find(
        (one) => Number(one) < from || Number(one) > to,
      );
      if (wrong !== undefined) return `Invalid value for ${name}: ${wrong}`;
      if (Number(step) > to - from + 1) return `Invalid stepping for ${name}: ${step}`;
    }
  }
  return undefined;
}

/** A message of croner with the original names and `?`, which croner replaces by numbers and `*`. */
function asWritten(reason: string, fields: readonly string[]): string {
  const written = fields.flatMap((field) => [field, ...field.split(',')]);
  let text = reason;
  for (const one of written) {
    const read = one.replaceAll('?', '*').replaceAll(/[a-z]{3}/gi, numberOfName);
    if (read !== one) text = text.replaceAll(`(${read})`, `(${one})`).replaceAll(`'${read}'`, `'${one}'`);
  }
  return text;
}

function numberOfName(name: string): string {
  const at = NAMES.split(' ').indexOf(name.toLowerCase());
  if (at < 0) return name;
  return String(at < 7 ? at : at - 6);
}
