// When ticks come, with the time given: over both changes of daylight-saving time in two zones, and after downtime.

import * as v from 'valibot';
import { expect, test } from 'vitest';
import {
  MISSED_AFTER_MS,
  nextTick,
  nextTicks,
  planTick,
  type Schedule,
  ScheduleSchema,
} from '../../src/protocol/schedule.ts';

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

function schedule(more: object): Schedule {
  return v.parse(ScheduleSchema, { type: 'add', input: {}, ...more });
}

/** The ticks of a pattern within a stretch of time: UTC, to the second. */
function ticksBetween(cron: string, timeZone: string, from: string, until: string): string[] {
  const ticks: string[] = [];
  let tick = nextTick({ cron, timeZone, everyMs: undefined }, Date.parse(from) - 1);
  while (tick !== undefined && tick < Date.parse(until)) {
    ticks.push(new Date(tick).toISOString().replace('.000Z', 'Z'));
    tick = nextTick({ cron, timeZone, everyMs: undefined }, tick);
  }
  return ticks;
}

/** Wall clock of a zone, to read a table of ticks by. */
function wallClock(utc: string, timeZone: string): string {
  const shown = { timeZone, day: '2-digit', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const;
  const parts = new Intl.DateTimeFormat('en', shown).formatToParts(new Date(utc));
  const part = (type: string): string => parts.find((one) => one.type === type)?.value ?? '';
  return `${part('day')} ${part('hour')}:${part('minute')}`;
}

/** The local day on which the clocks go forward from 2:00 to 3:00, and the one on which they go back, in 2026. */
const CHANGES = [
  {
    zone: 'Europe/Berlin',
    forward: { from: '2026-03-28T23:00Z', until: '2026-03-29T22:00Z', gap: '2026-03-29T01:00Z' },
    // From 3:00 to 2:00: 2:30 comes twice.
    back: {
      from: '2026-10-24T22:00Z',
      until: '2026-10-25T23:00Z',
      turn: '2026-10-25T01:00Z',
      hour: 2,
    },
  },
  {
    zone: 'America/New_York',
    forward: { from: '2026-03-08T05:00Z', until: '2026-03-09T04:00Z', gap: '2026-03-08T07:00Z' },
    // From 2:00 to 1:00: 1:30 comes twice.
    back: {
      from: '2026-11-01T04:00Z',
      until: '2026-11-02T05:00Z',
      turn: '2026-11-01T06:00Z',
      hour: 1,
    },
  },
];
const ZONES = CHANGES.map(({ zone, ...changes }) => [zone, changes] as const);

const plus = (utc: string, ms: number): string =>
  new Date(Date.parse(utc) + ms).toISOString().replace('.000Z', 'Z');

test.each(ZONES)(
  '%s, clocks go forward: a fixed time that is left out runs at the first instant after',
  (zone, { forward: { from, until, gap } }) => {
    const ticks = (cron: string): string[] => ticksBetween(cron, zone, from, until);
    const first = plus(gap, 0);
    for (const left of ['30 2 * * *', '0 2 * * *', '59 2 * * *', '15 30 2 * * *']) {
      expect(ticks(left), left).toEqual([first]);
    }
    // Those around it are not touched.
    expect(ticks('59 1 * * *')).toEqual([plus(gap, -MINUTE_MS)]);
    expect(ticks('0 3 * * *')).toEqual([first]);
    expect(ticks('30 3 * * *')).toEqual([plus(gap, 30 * MINUTE_MS)]);
    expect(ticks('0 0 * * *')).toEqual([plus(from, 0)]);
  },
);

test.each(ZONES)(
  '%s, clocks go forward: so do lists and ranges',
  (zone, { forward: { from, until, gap } }) => {
    const ticks = (cron: string): string[] => ticksBetween(cron, zone, from, until);
    const first = plus(gap, 0);
    // Two times that are left out run once.
    expect(ticks('15,45 2 * * *')).toEqual([first]);
    expect(ticks('30 2,14 * * *')).toEqual([first, plus(gap, 11.5 * HOUR_MS)]);
    expect(ticks('30 1-3 * * *')).toEqual([plus(gap, -30 * MINUTE_MS), first, plus(gap, 30 * MINUTE_MS)]);
  },
);

test.each(ZONES)(
  '%s, clocks go forward: steps and wildcards go on by real time',
  (zone, { forward: { from, until, gap } }) => {
    const hourly = ticksBetween('30 * * * *', zone, from, until);
    expect(hourly).toHaveLength(23);
    for (const [at, tick] of hourly.entries()) expect(tick).toBe(plus(from, at * HOUR_MS + 30 * MINUTE_MS));
    expect(ticksBetween('*/20 * * * *', zone, from, until)).toHaveLength(69);
    expect(ticksBetween('*/20 * * * *', zone, plus(gap, -21 * MINUTE_MS), plus(gap, 21 * MINUTE_MS))).toEqual(
      [-20, 0, 20].map((minutes) => plus(gap, minutes * MINUTE_MS)),
    );
    // There is no 2 o'clock that day to repeat in.
    expect(ticksBetween('*/15 2 * * *', zone, from, until)).toEqual([]);
  },
);

test.each(ZONES)(
  '%s, clocks go back: a fixed time that comes twice runs once, the first time',
  (zone, { back: { from, until, turn, hour } }) => {
    const ticks = (cron: string): string[] => ticksBetween(cron, zone, from, until);
    const early = (minutes: number): string => plus(turn, (minutes - 60) * MINUTE_MS);
    expect(ticks(`30 ${hour} * * *`)).toEqual([early(30)]);
    expect(ticks(`0 ${hour} * * *`)).toEqual([early(0)]);
    expect(ticks(`7 30 ${hour} * * *`)).toEqual([plus(early(30), 7_000)]);
    expect(ticks(`15,45 ${hour} * * *`)).toEqual([early(15), early(45)]);
    expect(ticks(`30 ${hour},14 * * *`)).toHaveLength(2);
    expect(ticks(`30 0-4 * * *`)).toHaveLength(5);
    // The hour after it comes once anyway.
    expect(ticks(`30 ${hour + 1} * * *`)).toEqual([plus(turn, 90 * MINUTE_MS)]);
  },
);

test.each(ZONES)(
  '%s, clocks go back: steps and wildcards run in both hours',
  (zone, { back: { from, until, turn, hour } }) => {
    const hourly = ticksBetween('30 * * * *', zone, from, until);
    expect(hourly).toHaveLength(25);
    for (const [at, tick] of hourly.entries()) expect(tick).toBe(plus(from, at * HOUR_MS + 30 * MINUTE_MS));
    expect(ticksBetween('*/20 * * * *', zone, from, until)).toHaveLength(75);
    expect(ticksBetween(`*/30 ${hour} * * *`, zone, from, until)).toEqual(
      [-60, -30, 0, 30].map((minutes) => plus(turn, minutes * MINUTE_MS)),
    );
  },
);

test.each(ZONES)(
  '%s: a daily time is that time of day on every other day of the year',
  (zone, { forward }) => {
    const ticks = ticksBetween('30 2 * * *', zone, '2026-01-01T12:00Z', '2027-01-01T12:00Z');
    expect(ticks).toHaveLength(365);
    const clocks = ticks.map((tick) => wallClock(tick, zone).slice(3));
    expect(clocks.filter((clock) => clock !== '02:30')).toEqual(['03:00']);
    expect(ticks.find((tick) => wallClock(tick, zone).endsWith('03:00'))).toBe(plus(forward.gap, 0));
  },
);

test('the time zone of a pattern is UTC unless it says so', () => {
  const after = Date.parse('2026-03-29T00:00Z');
  expect(nextTick(schedule({ cron: '30 2 * * *' }), after)).toBe(Date.parse('2026-03-29T02:30Z'));
});

test('a tick is after the instant it is asked for, never at it', () => {
  const noon = Date.parse('2026-06-01T12:00Z');
  const daily = schedule({ cron: '0 12 * * *' });
  expect(nextTick(daily, noon)).toBe(noon + 24 * HOUR_MS);
  expect(nextTick(daily, noon - 1)).toBe(noon);
  expect(nextTick(schedule({ cron: '* * * * * *' }), noon + 1)).toBe(noon + 1_000);
});

test('six fields begin with seconds, five are on the minute, names and @daily are understood', () => {
  const after = Date.parse('2026-06-01T12:00:10Z'); // A Monday.
  const at = (cron: string): string => new Date(nextTick(schedule({ cron }), after) ?? 0).toISOString();
  expect(at('*/20 * * * * *')).toBe('2026-06-01T12:00:20.000Z');
  expect(at('* * * * *')).toBe('2026-06-01T12:01:00.000Z');
  expect(at('  5  0 12 * * * ')).toBe('2026-06-02T12:00:05.000Z');
  expect(at('0 9 * * MON-FRI')).toBe('2026-06-02T09:00:00.000Z');
  expect(at('0 0 L * *')).toBe('2026-06-30T00:00:00.000Z');
  expect(at('@daily')).toBe('2026-06-02T00:00:00.000Z');
  expect(at('0 0 29 2 *')).toBe('2028-02-29T00:00:00.000Z');
});

test.each([
  ['four fields', '* * * *', 'must have five or six fields'],
  ['seven fields', '0 0 0 1 1 * 2030', 'must have five or six fields'],
  ['nothing', '', 'must have five or six fields'],
  ['a date', '2099-01-01T00:00:00Z', 'must have five or six fields'],
  ['a 60th minute', '60 * * * *', 'is no cron pattern: Invalid value for minute: 60'],
  ['a 25th hour', '0 25 * * *', 'is no cron pattern: Invalid value for hour: 25'],
  ['words', 'every day at noon please', /^is no cron pattern: configuration entry 1 \(every\)/],
  ['a step of 0', '*/0 * * * *', /^is no cron pattern: .*stepping/],
  ['a range that goes back', '5-1 * * * *', /^is no cron pattern: From value is larger/],
  ['an unknown name', '@fortnightly', /^is no cron pattern: /],
  ['a day that never comes', '0 0 31 2 *', 'never comes due'],
  ['endless text', `${'1,'.repeat(100)}1 * * * *`, 'must have at most 200 characters'],
])('a pattern with %s is refused, and says so', (_, cron, message) => {
  const { issues = [] } = v.safeParse(ScheduleSchema, { type: 'add', input: {}, cron });
  expect(issues.map((issue) => v.getDotPath(issue))).toEqual(['cron']);
  if (typeof message === 'string') expect(issues[0]?.message).toBe(message);
  else expect(issues[0]?.message).toMatch(message);
});

test.each([
  ['0 0 1 13 *', 'Invalid value for month: 13'],
  ['0 0 0 * *', 'Invalid value for day: 0'],
  ['0 0 1 0 *', 'Invalid value for month: 0'],
  ['0 0 1-40 * *', 'Invalid value for day: 40'],
  ['0 0 -1 * *', 'Invalid range for day: -1'],
  ['*/90 * * * *', 'Invalid stepping for minute: 90'],
  ['0 0 * * 1,8#2', 'Invalid value for dayOfWeek: 8'],
  ['0 0 1 jan,foo *', /\(jan,foo\)/],
  ['0 0 ? DEC-JAN ?', /'DEC-JAN'/],
  ['@Dayly', /there is no @Dayly/],
])('case 47: what is wrong with %s is said in the words of its writer', (cron, message) => {
  const { issues = [] } = v.safeParse(ScheduleSchema, { type: 'add', input: {}, cron: ` ${cron} ` });
  if (typeof message === 'string') expect(issues[0]?.message).toBe(`is no cron pattern: ${message}`);
  else expect(issues[0]?.message).toMatch(message);
});

test.each([' @daily', '@DAILY\t', '\n0 0 * * * ', '  0  0   * * *'])(
  'case 47: blanks around %j change nothing',
  (cron) => {
    const noon = Date.parse('2026-06-01T12:00Z');
    expect(nextTick(schedule({ cron }), noon)).toBe(noon + 12 * HOUR_MS);
  },
);

test.each<[string, object, string, RegExp]>([
  ['neither cron nor everyMs', {}, 'cron', /give either cron or everyMs/],
  ['both', { cron: '* * * * *', everyMs: 1_000 }, 'cron', /give either cron or everyMs/],
  ['less than a second', { everyMs: 999 }, 'everyMs', /must be at least 1000/],
  ['half a millisecond', { everyMs: 1_000.5 }, 'everyMs', /must be a whole number/],
  ['more than a year', { everyMs: 365 * 24 * HOUR_MS + 1 }, 'everyMs', /must be at most/],
  ['text as interval', { everyMs: '1000' }, 'everyMs', /./],
  ['no zone', { cron: '* * * * *', timeZone: '' }, 'timeZone', /must be an IANA time zone/],
  ['an unknown zone', { cron: '* * * * *', timeZone: 'Mars/Base' }, 'timeZone', /must be an IANA time zone/],
  ['another policy', { everyMs: 1_000, misfire: 'all' }, 'misfire', /must be skip or once/],
  ['a pause that is no boolean', { everyMs: 1_000, paused: 1 }, 'paused', /must be true or false/],
  ['a delay', { everyMs: 1_000, delayMs: 5 }, 'delayMs', /./],
  ['a key', { everyMs: 1_000, key: 'k' }, 'key', /./],
])('a schedule with %s is refused, and names the field', (_, more, field, message) => {
  const { issues = [] } = v.safeParse(ScheduleSchema, { type: 'add', input: {}, ...more });
  expect(issues.map((issue) => v.getDotPath(issue))).toEqual([field]);
  expect(issues[0]?.message).toMatch(message);
});

test('what a schedule leaves out has its default', () => {
  expect(schedule({ everyMs: 60_000 })).toMatchObject({ timeZone: 'UTC', misfire: 'skip', paused: false });
});

test.each([1_000, 7_000, 60_000, 5 * MINUTE_MS, 24 * HOUR_MS])(
  'an interval of %d ms ticks at its multiples since 1970, whenever it was asked for',
  (everyMs) => {
    const ticks = nextTicks(schedule({ everyMs }), Date.parse('2026-06-01T12:34:56.789Z'), 4);
    expect(ticks.map((tick) => tick % everyMs)).toEqual([0, 0, 0, 0]);
    expect(ticks[0]).toBeLessThanOrEqual(Date.parse('2026-06-01T12:34:56.789Z') + everyMs);
    for (const [at, tick] of ticks.entries()) {
      if (at > 0) expect(tick - (ticks[at - 1] ?? 0)).toBe(everyMs);
      expect(nextTick(schedule({ everyMs }), tick)).toBe(tick + everyMs);
      expect(nextTick(schedule({ everyMs }), tick - 1)).toBe(tick);
    }
  },
);

const due = Date.parse('2026-06-01T12:00Z');

test('a tick that comes in time, or little late, runs, and so does each one after it', () => {
  for (const late of [0, 1, 1_000, MISSED_AFTER_MS]) {
    for (const misfire of ['skip', 'once']) {
      const plan = planTick(schedule({ everyMs: 1_000, misfire }), due, due + late);
      expect(plan, `${misfire}, ${late} ms late`).toEqual({ run: true, next: due + 1_000 });
    }
  }
});

test.each([
  ['skip', false],
  ['once', true],
])('a tick that was missed, with %s: runs %s, and the next one is after now', (misfire, run) => {
  const late = due + MISSED_AFTER_MS + 1;
  expect(planTick(schedule({ everyMs: 1_000, misfire }), due, late)).toEqual({ run, next: due + 6_000 });
  // Three days away: still one run for all of them.
  const days = planTick(schedule({ cron: '0 12 * * *', misfire }), due, due + 3 * 24 * HOUR_MS + 1);
  expect(days).toEqual({ run, next: due + 4 * 24 * HOUR_MS });
});

test('next ticks are as many as were asked for, in order', () => {
  const ticks = nextTicks(schedule({ cron: '0 */6 * * *' }), due, 5);
  expect(ticks.map((tick) => (tick - due) / HOUR_MS)).toEqual([6, 12, 18, 24, 30]);
});
