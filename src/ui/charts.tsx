// How the fleet, or one queue, has done over the last minutes, hours or day.

import { useState } from 'preact/hooks';
import { serverNow } from './api.ts';
import type { Series } from './api-types.d.ts';
import { Chart, type ChartProps, type Line, type Span } from './chart.tsx';
import { COUNT_STEPS, DURATION_STEPS, plural, toCompact, toDuration, toRate } from './format.ts';
import { Loading } from './parts.tsx';
import { linkTo } from './place.ts';
import { useResource } from './resource.ts';
import { type Outage, useShared } from './shared.ts';

/** Range → its words, its length, and at which beats it is read again. */
const RANGES = new Map([
  ['10m', ['10 minutes', 600_000, 1]],
  ['1h', ['1 hour', 3_600_000, 4]],
  ['24h', ['24 hours', 86_400_000, 20]],
] as const);
type RangeName = Parameters<(typeof RANGES)['get']>[0];

function readRange(query: URLSearchParams): RangeName {
  return [...RANGES.keys()].find((name) => name === query.get('range')) ?? '10m';
}

/**
 * @param path of the screen, for the links to other ranges
 * @param queue when it is about one
 * @param slots that the workers have now
 */
export function Charts({
  path,
  query,
  queue,
  slots,
}: {
  readonly path: readonly string[];
  readonly query: URLSearchParams;
  readonly queue?: string;
  readonly slots: number;
}) {
  const range = readRange(query);
  const [, , beats = 1] = RANGES.get(range) ?? [];
  const search = new URLSearchParams({ range, ...(queue === undefined ? {} : { queue }) });
  const { data, problem } = useResource<Series>(`series?${search.toString()}`, beats);
  const [zoomed, zoom] = useState<Span>();
  return (
    <section aria-label="Over time">
      <header class="charts-head">
        <h2>Over time</h2>
        {problem ? <span class="stale">{problem.title}</span> : undefined}
        {zoomed === undefined ? undefined : (
          <button type="button" class="small" onClick={() => zoom(undefined)}>
            Whole range
          </button>
        )}
        <nav class="ranges" aria-label="Range">
          {Array.from(RANGES, ([name, [words]]) => (
            <a
              key={name}
              href={linkTo(path, { range: name === '10m' ? undefined : name })}
              aria-current={name === range ? 'true' : undefined}
              onClick={() => zoom(undefined)}
            >
              {words}
            </a>
          ))}
        </nav>
      </header>
      {data === undefined ? <Loading /> : <Drawn series={data} zoomed={zoomed} zoom={zoom} slots={slots} />}
      {data === undefined || isKnown(data.waits.p50) || !isKnown(data.waitMs) ? undefined : (
        <p class="muted small-text charts-note">
          Workers that are started with METRICS_PORT also measure p50, p95 and p99 of waits; a chart of them
          appears here.
        </p>
      )}
    </section>
  );
}

function Drawn({
  series,
  zoomed,
  zoom,
  slots,
}: {
  readonly series: Series;
  readonly zoomed: Span | undefined;
  readonly zoom: ChartProps['onSpan'];
  readonly slots: number;
}) {
  const { outage, outages } = useShared();
  const times = timesOf(series);
  const [, lengthMs] = RANGES.get(series.range) ?? ['', 600_000];
  // While nothing is heard of the fleet, the time that goes by shows.
  const end = outage === undefined ? Date.parse(series.at) : serverNow();
  const span = zoomed ?? [(end - lengthMs) / 1_000, end / 1_000];
  const away = spansOf(outages);
  const gapped = (values: readonly (number | null)[]): readonly (number | null)[] =>
    values.map((value, at) =>
      away.some(([from, until]) => hasPartIn(times[at] ?? 0, series.stepMs, from, until)) ? null : value,
    );
  const shared = { times, span, onSpan: zoom };
  return (
    <div class="charts">
      {chartsOf(series, slots).map((drawing) => (
        <Chart
          key={drawing.title}
          {...shared}
          title={drawing.title}
          format={drawing.format}
          steps={drawing.steps}
          summary={summaryOf(drawing)}
          lines={drawing.lines.map((line) => ({ ...line, values: gapped(line.values) }))}
        />
      ))}
    </div>
  );
}

interface Drawing extends Pick<ChartProps, 'title' | 'lines' | 'format' | 'steps'> {
  /** Behind a number in a sentence. */
  readonly unit: string;
}

function chartsOf(series: Series, slots: number): readonly Drawing[] {
  const { accepted, succeeded, failed, dead, ready, scheduled, running, waitMs, runMs } = series;
  const failures = failed.map((value, at) => addKnown(value, dead[at] ?? null));
  return [
    {
      title: 'Tasks a second',
      unit: ' a second',
      format: toRate,
      lines: [
        { name: 'accepted', values: accepted },
        { name: 'succeeded', values: succeeded },
        { name: 'failed', values: failures, isDashed: true },
      ],
    },
    {
      title: 'Backlog',
      unit: '',
      format: toCompact,
      steps: COUNT_STEPS,
      lines: [
        { name: 'ready', values: ready, isFilled: true },
        { name: 'scheduled', values: scheduled, isDashed: true },
      ],
    },
    {
      title: 'Mean wait and run time',
      unit: '',
      format: toDuration,
      steps: DURATION_STEPS,
      lines: [
        { name: 'wait', values: waitMs },
        { name: 'run', values: runMs, isDashed: true },
      ],
    },
    ...percentilesOf('Wait', series.waits),
    ...percentilesOf('Run time', series.runs),
    {
      title: `Running${slots === 0 ? '' : `, of ${plural(slots, 'slot')}`}`,
      unit: '',
      format: toCompact,
      steps: COUNT_STEPS,
      lines: [{ name: 'running', values: running, isFilled: true }],
    },
  ];
}

/** None where no worker has measured. */
function percentilesOf(title: string, { p50, p95, p99 }: Series['waits']): readonly Drawing[] {
  if (!isKnown(p50)) return [];
  return [
    {
      title,
      unit: '',
      format: toDuration,
      steps: DURATION_STEPS,
      lines: [
        { name: 'p50', values: p50 },
        { name: 'p95', values: p95 },
        { name: 'p99', values: p99, isDashed: true },
      ],
    },
  ];
}

function isKnown(values: readonly (number | null)[]): boolean {
  return values.some((value) => value !== null);
}

function summaryOf({ lines, format, unit }: Drawing): string {
  const words = (line: Line): string => {
    const value = line.values.at(-1) ?? null;
    return `${line.name} ${value === null ? 'not known' : `${format(value)}${unit}`}`;
  };
  return `Now: ${lines.map(words).join(', ')}.`;
}

function addKnown(one: number | null, other: number | null): number | null {
  return one === null && other === null ? null : (one ?? 0) + (other ?? 0);
}

/** Seconds at which each step ends; the last is the moment of the reading. */
function timesOf({ accepted, until, at, stepMs }: Series): readonly number[] {
  const last = accepted.length - 2;
  return accepted.map((_, step) =>
    step > last ? Date.parse(at) / 1_000 : (Date.parse(until) - (last - step) * stepMs) / 1_000,
  );
}

/** Seconds by the clock of the server. */
function spansOf(outages: readonly Outage[]): readonly Span[] {
  const aheadMs = serverNow() - Date.now();
  return outages.map(({ since, until }) => [(since + aheadMs) / 1_000, (until + aheadMs) / 1_000]);
}

/** Whether most of the step lies within. */
function hasPartIn(end: number, stepMs: number, from: number, until: number): boolean {
  const middle = end - stepMs / 2_000;
  return middle >= from && middle <= until;
}
