// Numbers and times as people read them.

const whole = new Intl.NumberFormat('en');
const clock = new Intl.DateTimeFormat(undefined, {
  dateStyle: 'medium',
  timeStyle: 'medium',
});
const precise = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  fractionalSecondDigits: 3,
  hourCycle: 'h23',
});

export function toCount(value: number): string {
  return whole.format(value);
}

/** `0.0033`, `0.42`, `3.1`, `120`: enough digits to compare, for a rate a second. */
export function toRate(value: number): string {
  if (value === 0) return '0';
  if (value < 0.01) return String(Number(value.toPrecision(2)));
  if (value < 1) return value.toFixed(2);
  return value < 10 ? value.toFixed(1) : toCount(Math.round(value));
}

const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });

/** `12`, `1.2K`, `3.4M`: for an axis. */
export function toCompact(value: number): string {
  return compact.format(value);
}

/** Distances between ticks of an axis: 1, 2 and 5 of these powers of ten. */
function stepsOfTen(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, at) =>
    [1, 2, 5].map((digit) => digit * 10 ** (from + at)),
  ).flat();
}

/** Of whole numbers. */
export const COUNT_STEPS: readonly number[] = stepsOfTen(0, 13);

/** Of milliseconds, which people read in seconds, minutes, hours and days. */
export const DURATION_STEPS: readonly number[] = [
  ...stepsOfTen(-1, 4),
  ...[10, 15, 30].map((seconds) => seconds * 1_000),
  ...[1, 2, 5, 10, 30].map((minutes) => minutes * 60_000),
  ...[1, 2, 6, 12].map((hours) => hours * 3_600_000),
  ...[1, 2, 5, 10, 30, 100].map((days) => days * 86_400_000),
];

const UNITS: readonly (readonly [ms: number, word: string])[] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1_000, 's'],
];

/** `0.5 ms`, `84 ms`, `1.4 s`, `2 min 5 s`, `3 h`; never below zero. */
export function toDuration(ms: number): string {
  const left = Math.max(0, ms);
  if (left < 10) return `${Math.round(left * 10) / 10} ms`;
  if (left < 1_000) return `${Math.round(left)} ms`;
  if (left < 10_000) return `${(Math.floor(left / 100) / 10).toString()} s`;
  const at = UNITS.findIndex(([unit]) => left >= unit);
  const [unit, word] = UNITS[at] ?? [1_000, 's'];
  const [next, nextWord] = UNITS[at + 1] ?? [0, ''];
  const first = `${Math.floor(left / unit)} ${word}`;
  const rest = next === 0 ? 0 : Math.floor((left % unit) / next);
  return rest === 0 ? first : `${first} ${rest} ${nextWord}`;
}

/** `2 min ago`, `in 5 s`, `now`. @param now by the clock of the server */
export function toRelative(time: string, now: number): string {
  const ms = Date.parse(time) - now;
  if (Math.abs(ms) < 1_000) return 'now';
  const text = roughly(Math.abs(ms));
  return ms > 0 ? `in ${text}` : `${text} ago`;
}

/** A duration with one unit: what stands in a table changes seldom. */
function roughly(ms: number): string {
  const [unit, word] = UNITS.find(([one]) => ms >= one) ?? [1_000, 's'];
  return `${Math.floor(ms / unit)} ${word}`;
}

/** `0.04 %`, `3.1 %`, `12 %`; never 0 for what is more. @param part of 1 */
export function toPercent(part: number): string {
  const percent = Math.min(100, part * 100);
  if (percent > 0 && percent < 0.01) return '< 0.01 %';
  return `${percent.toFixed(percent >= 10 ? 0 : percent >= 0.1 ? 1 : 2)} %`;
}

/** Local time of day with milliseconds. */
export function toTimeOfDay(time: string): string {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? time : precise.format(date);
}

/** Local date and time with seconds. */
export function toLocal(time: string): string {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? time : clock.format(date);
}

export function toBytes(count: number): string {
  if (count < 1_024) return `${count} bytes`;
  if (count < 1_048_576) return `${(count / 1_024).toFixed(1)} KiB`;
  return count < 1_073_741_824
    ? `${(count / 1_048_576).toFixed(1)} MiB`
    : `${(count / 1_073_741_824).toFixed(1)} GiB`;
}

/** The first part of an id. UUIDv7 begin with the time, so the end tells tasks of one moment apart. */
export function toShortId(id: string): string {
  return id.length > 13 ? `${id.slice(0, 8)}…${id.slice(-4)}` : id;
}

export function plural(count: number, word: string, many = `${word}s`): string {
  return `${toCount(count)} ${count === 1 ? word : many}`;
}
