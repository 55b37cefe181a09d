// Local time of IANA zones, and the instants of a local time.
// A local time is a number: milliseconds since 1970 as if its clock stood at UTC.

const HOUR_MS = 3_600_000;
/** No zone is further from UTC than 14 hours (IANA tz database). */
const FURTHEST_MS = 15 * HOUR_MS;
/** Bound of how far a clock is set back: less than a day. */
const REPEATED_MS = 26 * HOUR_MS;
/** Zones whose formatter is kept; the IANA database has about 600 names. */
const FORMATS_KEPT = 700;

const formats = new Map<string, Intl.DateTimeFormat>();

/** @throws RangeError when there is no such zone */
function formatOf(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone);
  if (known) return known;
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    calendar: 'gregory',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  if (formats.size >= FORMATS_KEPT) formats.clear();
  formats.set(zone, format);
  return format;
}

export function isTimeZone(name: string): boolean {
  try {
    formatOf(name);
    return true;
  } catch {
    return false;
  }
}

/**
 * How far the zone's clock is ahead of UTC, in milliseconds.
 * @throws RangeError when there is no such zone
 */
export function offsetOf(zone: string, instant: number): number {
  // "11/25/2026, 19:29:52"
  const [month = 0, day = 0, year = 0, hour = 0, minute = 0, second = 0] = (
    formatOf(zone).format(instant).match(/\d+/g) ?? []
  ).map(Number);
  return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(instant / 1_000) * 1_000;
}

/** A change of a zone's clock. */
export interface ClockChange {
  /** The first instant with the new offset. */
  readonly at: number;
  readonly before: number;
  readonly after: number;
}

/** The change between two instants, which are less than a few weeks apart; `undefined` when the offset is the same. */
function changeBetween(zone: string, from: number, until: number): ClockChange | undefined {
  const before = offsetOf(zone, from);
  const after = offsetOf(zone, until);
  if (before === after) return undefined;
  // Clocks change at full seconds.
  let early = Math.floor(from / 1_000);
  let late = Math.ceil(until / 1_000);
  while (late - early > 1) {
    const middle = Math.floor((early + late) / 2);
    if (offsetOf(zone, middle * 1_000) === before) early = middle;
    else late = middle;
  }
  return { at: late * 1_000, before, after };
}

/** The change that sets the clock back within the next day, so that local times which have passed come again. */
export function nextRepetition(zone: string, instant: number): ClockChange | undefined {
  const change = changeBetween(zone, instant, instant + REPEATED_MS);
  return change && change.after < change.before ? change : undefined;
}

/** The latest local time that the zone's clock has shown until the instant: more than it shows while times come again. */
export function latestLocalTime(zone: string, instant: number): number {
  const change = changeBetween(zone, instant - REPEATED_MS, instant);
  if (!change) return instant + offsetOf(zone, instant);
  return Math.max(instant + change.after, change.at + change.before - 1);
}

/**
 * The instants at which the zone's clock shows a local time, in order: two when it comes again, none when it is left out.
 * `passed` is the first instant at which that time is reached or passed.
 */
export function instantsOf(zone: string, localTime: number): { shown: readonly number[]; passed: number } {
  const change = changeBetween(zone, localTime - FURTHEST_MS, localTime + FURTHEST_MS);
  if (!change) {
    const instant = localTime - offsetOf(zone, localTime);
    return { shown: [instant], passed: instant };
  }
  const [early, late] = [localTime - change.before, localTime - change.after];
  const shown = [...(early < change.at ? [early] : []), ...(late >= change.at ? [late] : [])];
  return { shown, passed: shown[0] ?? change.at };
}
