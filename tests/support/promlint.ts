// The rules of `promtool check metrics`, for machines without it, and promtool itself where it is installed.

import { spawnSync } from 'node:child_process';

/** Debian: `apt-get install --no-install-recommends prometheus`. */
export const HAS_PROMTOOL = spawnSync('promtool', ['--version']).status === 0;

/** What promtool says about it; empty when it accepts it. */
export function promtool(args: readonly string[], input = ''): string {
  const { status, stdout, stderr } = spawnSync('promtool', [...args], { input, encoding: 'utf8' });
  return status === 0 && stderr === '' ? '' : `${status}\n${stdout}${stderr}`;
}

interface Line {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
}

export interface ReadFamily {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: Line[];
}

const SAMPLE = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([A-Za-z_]\w*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/gy;
const ENDINGS = /_(?:bucket|sum|count)$/;

/** Reads the text format 0.0.4. @throws Error at a line that is none of it, or stands in the wrong place */
export function readMetrics(text: string): ReadonlyMap<string, ReadFamily> {
  const families = new Map<string, ReadFamily>();
  let current: ReadFamily | undefined;
  const seen = new Set<string>();
  for (const line of text.trimEnd().split('\n')) {
    const [, kind, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (kind === 'HELP') {
      if (families.has(name)) throw new Error(`the family ${name} stands in two places`);
      current = { name, type: '', help: rest, samples: [] };
      families.set(name, current);
    } else if (kind === 'TYPE') {
      if (current?.name !== name) throw new Error(`no help before ${line}`);
      current = { ...current, type: rest };
      families.set(name, current);
    } else {
      const sample = readSample(line);
      const ofFamily = sample.name === current?.name || sample.name.replace(ENDINGS, '') === current?.name;
      if (!current || !ofFamily) throw new Error(`not of its family: ${line}`);
      const which = line.slice(0, line.lastIndexOf(' '));
      if (seen.has(which)) throw new Error(`twice: ${which}`);
      seen.add(which);
      current.samples.push(sample);
    }
  }
  return families;
}

function readSample(line: string): Line {
  const [, name = '', labels = '', value = ''] = SAMPLE.exec(line) ?? [];
  const read = new Map<string, string>();
  let length = 0;
  for (const [whole, label = '', text = ''] of labels.matchAll(LABEL)) {
    read.set(label, text);
    length += whole.length;
  }
  const number = value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value);
  if (name === '' || length !== labels.length || Number.isNaN(number)) throw new Error(`no sample: ${line}`);
  return { name, labels: read, value: number };
}

const ABBREVIATIONS: ReadonlySet<string> = new Set([
  's',
  'ms',
  'us',
  'ns',
  'sec',
  'b',
  'kb',
  'mb',
  'gb',
  'tb',
  'pb',
  'm',
  'h',
  'd',
]);
const NO_BASE_UNIT =
  /_(?:(?:milli|micro|nano|kilo|mega|giga|kibi|mebi)(?:seconds|bytes)|minutes|hours|days|weeks|bits|percent)(?:_|$)/;

/** @returns a line for each fault */
export function lintMetrics(text: string): string[] {
  return [...readMetrics(text).values()].flatMap((family) =>
    faultsOf(family).map((fault) => `${family.name}: ${fault}`),
  );
}

function faultsOf({ name, type, help, samples }: ReadFamily): string[] {
  const isGrouped = type === 'histogram' || type === 'summary';
  const labels = new Set(samples.flatMap((sample) => [...sample.labels.keys()]));
  const rules: readonly (readonly [boolean, string])[] = [
    [help === '' || help === '.', 'no help text'],
    [!['counter', 'gauge', 'histogram', 'summary'].includes(type), 'no type'],
    [(type === 'counter') !== name.endsWith('_total'), 'counters, and only they, end in _total'],
    [!isGrouped && ENDINGS.test(name), 'ends like a part of a histogram'],
    [type !== 'histogram' && labels.has('le'), 'le is of histograms'],
    [type !== 'summary' && labels.has('quantile'), 'quantile is of summaries'],
    [/_(?:counter|gauge|histogram|summary)(?:_|$)/.test(name), 'has a type in its name'],
    [![name, ...labels].every((one) => /^[a-z][a-z0-9_]*$/.test(one)), 'is not in snake case'],
    [name.split('_').some((word) => ABBREVIATIONS.has(word)), 'has an abbreviation'],
    [NO_BASE_UNIT.test(name), 'is in no base unit'],
    [!/^(?:popfleet|process)_/.test(name), 'has another prefix'],
    [samples.length === 0, 'has no samples'],
  ];
  return rules.filter(([isWrong]) => isWrong).map(([, fault]) => fault);
}
