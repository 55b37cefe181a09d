// One chart: lines over time, drawn by uPlot, with the same numbers for those who do not see them.

import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import { toTimeOfDay } from './format.ts';
import { onTheme } from './settings.ts';

export interface Line {
  /** Also the end of its class, which has its colour. */
  readonly name: string;
  /** `null`: not known, a gap. */
  readonly values: readonly (number | null)[];
  readonly isDashed?: boolean;
  readonly isFilled?: boolean;
}

/** Seconds since 1970. */
export type Span = readonly [from: number, until: number];

export interface ChartProps {
  readonly title: string;
  /** What it shows now, in a sentence. */
  readonly summary: string;
  /** Seconds since 1970, rising; each line has a value for each. */
  readonly times: readonly number[];
  readonly lines: readonly Line[];
  /** What of it is shown. */
  readonly span: Span;
  readonly format: (value: number) => string;
  /** Distances that the ticks of its axis may have; 1, 2 and 5 of any power of ten unless given. */
  readonly steps?: readonly number[] | undefined;
  /** Called with a part that was dragged over, and with `undefined` for all of it. */
  readonly onSpan: (span: Span | undefined) => void;
}

const HEIGHT_PX = 168;
const TABLE_ROWS = 12;

export function Chart(props: ChartProps) {
  const { title, summary, times, lines, format } = props;
  const [at, point] = useState<number>();
  const plot = useRef<uPlot>(undefined);
  const figure = useRef<HTMLElement>(null);
  const host = useRef<HTMLDivElement>(null);
  const latest = useRef(props);
  latest.current = props;
  useEffect(() => {
    if (!host.current || !figure.current) return undefined;
    const made = draw(host.current, figure.current, latest.current, {
      point,
      select: (span) => latest.current.onSpan(span),
    });
    plot.current = made;
    const resized = new ResizeObserver(([entry]) => {
      if (entry) made.setSize({ width: Math.floor(entry.contentRect.width), height: HEIGHT_PX });
    });
    resized.observe(host.current);
    const endTheme = onTheme(() => made.redraw());
    return () => {
      endTheme();
      resized.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [lines.map(({ name }) => name).join()]);
  useEffect(() => update(plot.current, props), [times, props.span[0], props.span[1]]);

  const index = at ?? times.length - 1;
  const step = (event: KeyboardEvent): void => {
    const next = stepOf(event.key, index, times.length);
    if (next === undefined) return;
    event.preventDefault();
    const made = plot.current;
    const [left, top] = [made?.valToPos(times[next] ?? 0, 'x') ?? 0, HEIGHT_PX / 3];
    made?.setCursor({ left, top });
    point(next);
  };
  const spoken = at === undefined ? '' : sayPoint(times, lines, format, at);
  return (
    <figure class="card chart" ref={figure}>
      <figcaption>
        <h2>{title}</h2>
        <ul class="legend" aria-hidden="true">
          {lines.map(({ name, values, isDashed }) => (
            <li key={name}>
              <i class={`line-${name}${isDashed === true ? ' is-dashed' : ''}`} data-line={name} />
              {name} <b>{show(values[index], format)}</b>
            </li>
          ))}
        </ul>
        <p class="hidden">{summary}</p>
      </figcaption>
      <div
        class="plot"
        ref={host}
        role="group"
        tabIndex={0}
        aria-label={`${title}: the arrow keys tell its numbers, one time after the other`}
        onKeyDown={step}
        onBlur={() => point(undefined)}
      />
      <p class="hidden" aria-live="polite">
        {spoken}
      </p>
      <Numbers {...props} />
      <p class="chart-time muted" aria-hidden="true">
        {at === undefined ? '' : toTimeOfDay(new Date((times[at] ?? 0) * 1_000).toISOString()).slice(0, 8)}
      </p>
    </figure>
  );
}

function show(value: number | null | undefined, format: (value: number) => string): string {
  return value === null || value === undefined ? '–' : format(value);
}

function sayPoint(
  times: readonly number[],
  lines: readonly Line[],
  format: (value: number) => string,
  at: number,
): string {
  const time = new Date((times[at] ?? 0) * 1_000).toLocaleTimeString();
  return `${time}: ${lines.map(({ name, values }) => `${name} ${show(values[at], format)}`).join(', ')}`;
}

function stepOf(key: string, index: number, length: number): number | undefined {
  const next = new Map([
    ['ArrowLeft', index - 1],
    ['ArrowRight', index + 1],
    ['Home', 0],
    ['End', length - 1],
  ]).get(key);
  return next === undefined ? undefined : Math.min(length - 1, Math.max(0, next));
}

/** Some of the numbers as a table, for those who do not see the lines. */
function Numbers({ title, times, lines, format, span }: ChartProps) {
  const shown = times.flatMap((time, index) => (time >= span[0] && time <= span[1] ? [index] : []));
  const every = Math.max(1, Math.ceil(shown.length / TABLE_ROWS));
  const rows = shown.filter((_, nth) => (shown.length - 1 - nth) % every === 0);
  return (
    <table class="hidden" aria-label={title}>
      <thead>
        <tr>
          <th scope="col">Time</th>
          {lines.map(({ name }) => (
            <th key={name} scope="col">
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((index) => (
          <tr key={times[index]}>
            <th scope="row">{new Date((times[index] ?? 0) * 1_000).toLocaleTimeString()}</th>
            {lines.map(({ name, values }) => (
              <td key={name}>{show(values[index], format)}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function dataOf({ times, lines }: ChartProps): uPlot.AlignedData {
  return [[...times], ...lines.map(({ values }) => [...values])];
}

function update(made: uPlot | undefined, props: ChartProps): void {
  if (!made) return;
  const [min, max] = props.span;
  made.batch(() => {
    made.setData(dataOf(props), false);
    made.setScale('x', { min, max });
  });
}

/** A token may have two colours, for light and dark: an element says which it is now. */
function colourOf(element: Element | null): string {
  return element === null ? '#888' : getComputedStyle(element).color;
}

function draw(
  host: HTMLElement,
  figure: HTMLElement,
  props: ChartProps,
  on: { readonly point: (at: number | undefined) => void; readonly select: ChartProps['onSpan'] },
): uPlot {
  const lineColour = (name: string) => (): string => colourOf(figure.querySelector(`[data-line="${name}"]`));
  const axis = {
    stroke: () => colourOf(figure.querySelector('.chart-time')),
    font: '11px system-ui, sans-serif',
    grid: { stroke: () => getComputedStyle(figure).borderTopColor, width: 1 },
    ticks: { show: false },
  };
  const options: uPlot.Options = {
    width: Math.max(80, host.clientWidth),
    height: HEIGHT_PX,
    legend: { show: false },
    padding: [8, 20, 0, 0],
    scales: {
      x: { time: true, auto: false },
      y: { range: (_, __, max) => [0, max > 0 ? max * 1.12 : 1] },
    },
    axes: [
      { ...axis, size: 24, space: 70, values: (_, splits) => splits.map(toAxisTime(splits)) },
      {
        ...axis,
        size: sizeOf,
        space: 36,
        ...(props.steps && { incrs: [...props.steps] }),
        values: (_, splits) => splits.map((value) => props.format(value)),
      },
    ],
    series: [
      {},
      ...props.lines.map(({ name, isDashed, isFilled }) => ({
        label: name,
        stroke: lineColour(name),
        width: 1.6,
        spanGaps: false,
        points: { show: false },
        ...(isDashed === true ? { dash: [5, 4] } : {}),
        ...(isFilled === true ? { fill: () => faint(lineColour(name)()) } : {}),
      })),
    ],
    cursor: {
      y: false,
      drag: { x: true, y: false, setScale: false },
      sync: { key: 'popfleet', setSeries: false, filters: { pub: isPointing } },
      points: { size: 7 },
      bind: {
        dblclick: () => () => {
          on.select(undefined);
          return null;
        },
      },
    },
    hooks: {
      setCursor: [(made) => on.point(made.cursor.idx ?? undefined)],
      setSelect: [
        (made) => {
          const { left, width } = made.select;
          if (width < 4) return;
          on.select([made.posToVal(left, 'x'), made.posToVal(left + width, 'x')]);
          made.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
    },
  };
  const made = new uPlot(options, dataOf(props), host);
  update(made, props);
  return made;
}

function isPointing(type: string): boolean {
  return type === 'mousemove' || type === 'mouseleave';
}

/** `rgb(1, 2, 3)` with little of its colour. */
function faint(colour: string): string {
  return colour.replace('rgb(', 'rgba(').replace(')', ', 0.12)');
}

function toAxisTime(splits: readonly number[]): (seconds: number) => string {
  const isFine = (splits[1] ?? 0) - (splits[0] ?? 0) < 60;
  return (seconds) => {
    const text = toTimeOfDay(new Date(seconds * 1_000).toISOString());
    return text.slice(0, isFine ? 8 : 5);
  };
}

/** Pixels that the longest of the labels of an axis takes, about: `2 h 46 min` is longer than `50`. */
function sizeOf(_: uPlot, labels: readonly string[] | null): number {
  return Math.max(56, 16 + 6 * Math.max(...(labels ?? []).map(({ length }) => length)));
}
