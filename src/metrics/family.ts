// Metric families, and how they are written for Prometheus: its text format 0.0.4, and OpenMetrics 1.0.0.

export interface Family {
  /** `popfleet_…`, of a counter without `_total`. */
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary';
  /** A sentence without its full stop. */
  readonly help: string;
  readonly samples: readonly Sample[];
}

export interface Sample {
  /** What stands behind the name: `_bucket`, `_sum` and `_count` of histograms and summaries. */
  readonly suffix?: '_bucket' | '_sum' | '_count';
  /** Names are ours, values may be anyone's. */
  readonly labels: Labels;
  readonly value: number;
}

export type Labels = readonly (readonly [name: string, value: string])[];

/** Which queues a reader may see. */
export type Knows = (queue: string) => boolean;

/** Media types of the formats, the default first. */
export const METRIC_FORMATS = ['text/plain', 'application/openmetrics-text'] as const;
export type MetricFormat = (typeof METRIC_FORMATS)[number];

export const CONTENT_TYPES: Readonly<Record<MetricFormat, string>> = {
  'text/plain': 'text/plain; version=0.0.4; charset=utf-8',
  'application/openmetrics-text': 'application/openmetrics-text; version=1.0.0; charset=utf-8',
};

/** Families of one name become one: all samples of a name have to stand together. */
export function mergeFamilies(families: readonly Family[]): readonly Family[] {
  const byName = new Map<string, Family>();
  for (const family of families) {
    const before = byName.get(family.name);
    byName.set(family.name, before ? { ...before, samples: [...before.samples, ...family.samples] } : family);
  }
  return [...byName.values()];
}

/** Families without samples are left out. */
export function writeFamilies(families: readonly Family[], format: MetricFormat): string {
  const isOpen = format === 'application/openmetrics-text';
  const lines: string[] = [];
  for (const { name, type, help, samples } of families) {
    if (samples.length === 0) continue;
    const total = type === 'counter' ? `${name}_total` : name;
    // In OpenMetrics the suffix belongs to the sample, in the older format to the name.
    const title = isOpen ? name : total;
    lines.push(`# HELP ${title} ${escapeText(help)}.`, `# TYPE ${title} ${type}`);
    for (const { suffix = '', labels, value } of samples) {
      lines.push(`${total}${suffix}${writeLabels(labels)} ${writeNumber(value)}`);
    }
  }
  if (isOpen) lines.push('# EOF');
  return `${lines.join('\n')}\n`;
}

function writeLabels(labels: Labels): string {
  if (labels.length === 0) return '';
  return `{${labels.map(([name, value]) => `${name}="${escapeText(value).replaceAll('"', '\\"')}"`).join(',')}}`;
}

function escapeText(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

export function writeNumber(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  if (value === Number.NEGATIVE_INFINITY) return '-Inf';
  return String(value);
}
