// Cron around the changes of clocks, against an oracle that walks minute by minute. Each kind of change is tried in one
// zone; POPFLEET_ALL_ZONES=1 tries every change of every IANA zone in 2026 and 2027 (about a minute).

import { expect, test } from 'vitest';
import { nextTick } from '../../src/protocol/schedule.ts';

const ALL = process.env['POPFLEET_ALL_ZONES'] === '1';
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const FROM = Date.UTC(2026, 0, 1);
const UNTIL = Date.UTC(2028, 0, 1);

interface Case {
  readonly cron: string;
  /** Times of day; the others are steps and wildcards. */
  readonly fixed: boolean;
  /** Of a local time, as if it were UTC. */
  readonly fits: (time: Date) => boolean;
}

const isAt = (hours: readonly number[], minutes: readonly number[]) => (time: Date) =>
  hours.includes(time.getUTCHours()) && minutes.includes(time.getUTCMinutes());
const each = (step: number, length: number): number[] =>
  Array.from({ length: Math.ceil(length / step) }, (_, at) => at * step);
const ALL_HOURS = each(1, 24);

const CASES: readonly Case[] = [
  { cron: '0 0 * * *', fixed: true, fits: isAt([0], [0]) },
  { cron: '30 0 * * *', fixed: true, fits: isAt([0], [30]) },
  { cron: '15 1 * * *', fixed: true, fits: isAt([1], [15]) },
  { cron: '30 2 * * *', fixed: true, fits: isAt([2], [30]) },
  { cron: '0 3 * * *', fixed: true, fits: isAt([3], [0]) },
  { cron: '30 23 * * *', fixed: true, fits: isAt([23], [30]) },
  { cron: '59 23 * * *', fixed: true, fits: isAt([23], [59]) },
  { cron: '45 1-3 * * *', fixed: true, fits: isAt([1, 2, 3], [45]) },
  { cron: '10,50 0,2,22,23 * * *', fixed: true, fits: isAt([0, 2, 22, 23], [10, 50]) },
  {
    cron: '30 23 * * 6',
    fixed: true,
    fits: (time) => time.getUTCDay() === 6 && isAt([23], [30])(time),
  },
  {
    cron: '5 0-23 * * SUN',
    fixed: true,
    fits: (time) => time.getUTCDay() === 0 && isAt(ALL_HOURS, [5])(time),
  },
  { cron: '@daily', fixed: true, fits: isAt([0], [0]) },
  { cron: '@hourly', fixed: false, fits: isAt(ALL_HOURS, [0]) },
  { cron: '30 * * * *', fixed: false, fits: isAt(ALL_HOURS, [30]) },
  { cron: '*/20 * * * *', fixed: false, fits: isAt(ALL_HOURS, [0, 20, 40]) },
  { cron: '*/15 2 * * *', fixed: false, fits: isAt([2], [0, 15, 30, 45]) },
  { cron: '*/30 23,0 * * *', fixed: false, fits: isAt([23, 0], [0, 30]) },
  { cron: '45 */2 * * *', fixed: false, fits: isAt(each(2, 24), [45]) },
  { cron: '*/7 0-3 * * *', fixed: false, fits: isAt([0, 1, 2, 3], each(7, 60)) },
];

/** Local time of a zone, as a number that stands for it as if it were UTC. */
function clockOf(zone: string): (instant: number) => number {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
  });
  return (instant) => {
    const part: Partial<Record<string, number>> = {};
    for (const { type, value } of format.formatToParts(instant)) part[type] = Number(value);
    const { year = 0, month = 0, day = 0, hour = 0, minute = 0 } = part;
    return Date.UTC(year, month - 1, day, hour, minute);
  };
}

/** Instants, to the minute, at which a zone's clock changes. */
function changesOf(zone: string, stepMs: number): { at: number; shift: number; localTime: number }[] {
  const clock = clockOf(zone);
  const offset = (instant: number): number => clock(instant) - instant;
  const changes = [];
  for (let from = FROM; from < UNTIL; from += stepMs) {
    if (offset(from) === offset(from + stepMs)) continue;
    let [early, late] = [from, from + stepMs];
    while (late - early > MINUTE_MS) {
      const middle = early + Math.floor((late - early) / 2 / MINUTE_MS) * MINUTE_MS;
      if (offset(middle) === offset(early)) early = middle;
      else late = middle;
    }
    changes.push({
      at: late,
      shift: offset(late) - offset(early),
      localTime: (clock(early) + MINUTE_MS) % DAY_MS,
    });
  }
  return changes;
}

/**
 * What has to tick, by walking. Steps and wildcards: every minute that the clock shows and that fits. Times of day: once
 * for each that the clock reaches or jumps over for the first time.
 */
function oracle({ fixed, fits }: Case, minutes: readonly { instant: number; localTime: number }[]): number[] {
  const ticks: number[] = [];
  let latest = (minutes[0]?.localTime ?? 0) - MINUTE_MS;
  for (const { instant, localTime } of minutes) {
    if (!fixed) {
      if (fits(new Date(localTime))) ticks.push(instant);
      continue;
    }
    let isDue = false;
    for (; latest < localTime; latest += MINUTE_MS) isDue ||= fits(new Date(latest + MINUTE_MS));
    if (isDue) ticks.push(instant);
  }
  return ticks;
}

function ticksOf(cron: string, timeZone: string, from: number, until: number): number[] {
  const ticks: number[] = [];
  for (let after = from - 1; ; ) {
    const tick = nextTick({ cron, timeZone, everyMs: undefined }, after);
    if (tick === undefined || tick >= until) return ticks;
    ticks.push(tick);
    after = tick;
  }
}

test('case 54: cron around every kind of change of clocks is as an oracle that walks minute by minute', {
  timeout: 20 * MINUTE_MS,
}, () => {
  const kinds = new Set<string>();
  const wrong: string[] = [];
  for (const zone of [...Intl.supportedValuesOf('timeZone'), 'UTC']) {
    const clock = clockOf(zone);
    for (const { at, shift, localTime } of changesOf(zone, ALL ? 6 * HOUR_MS : 7 * DAY_MS)) {
      const kind = `${shift / MINUTE_MS} min at ${localTime / HOUR_MS} h`;
      if (kinds.has(kind) && !ALL) continue;
      kinds.add(kind);
      const [from, until] = [at - 1.25 * DAY_MS, at + 1.25 * DAY_MS];
      const minutes = Array.from({ length: (until - from) / MINUTE_MS }, (_, nth) => {
        const instant = from + nth * MINUTE_MS;
        return { instant, localTime: clock(instant) };
      });
      for (const one of CASES) {
        const due = JSON.stringify(oracle(one, minutes).map((tick) => new Date(tick)));
        const found = JSON.stringify(ticksOf(one.cron, zone, from, until).map((tick) => new Date(tick)));
        if (due !== found) wrong.push(`${one.cron} in ${zone}, ${kind}: ${found} instead of ${due}`);
      }
    }
  }
  expect(wrong).toEqual([]);
  // Clocks that go forward to midnight, that start at it, and by half an hour are among them.
  for (const kind of ['60 min at 23 h', '60 min at 0 h', '30 min at 2 h', '-60 min at 0 h', '120 min at 1 h'])
    expect(kinds).toContain(kind);
});

test('case 54: a time that is left out at the end of a day runs at the midnight to which the clocks go', () => {
  // In Greenland clocks go from 23:00 on Saturday to 0:00 on Sunday.
  const saturday = Date.UTC(2026, 2, 28, 12);
  const next = (cron: string): string =>
    new Date(nextTick({ cron, timeZone: 'America/Nuuk', everyMs: undefined }, saturday) ?? 0).toISOString();
  expect(next('30 23 * * *')).toBe('2026-03-29T01:00:00.000Z');
  expect(next('30 23 * * 6')).toBe('2026-03-29T01:00:00.000Z');
  expect(next('15 30 23 28 3 *')).toBe('2026-03-29T01:00:00.000Z');
});

test('case 54: every second of an hour that comes twice, and of one that is left out', () => {
  const count = (cron: string, from: string, until: string): number =>
    ticksOf(cron, 'Europe/Berlin', Date.parse(from), Date.parse(until)).length;
  const back = ['2026-10-24T23:00Z', '2026-10-25T03:00Z'] as const;
  expect(count('* * 2 * * *', ...back)).toBe(7_200);
  expect(count('0-59 0-59 2 * * *', ...back)).toBe(3_600);
  const forward = ['2026-03-28T23:00Z', '2026-03-29T03:00Z'] as const;
  expect(count('* * 2 * * *', ...forward)).toBe(0);
  expect(count('0-59 0-59 2 * * *', ...forward)).toBe(1);
});
