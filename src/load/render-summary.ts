// Renders the summary as text.

import type { Percentiles } from './percentiles.ts';
import type { LoadSummary } from './summary.ts';

/** A plain table that ends with a line feed. */
export function renderSummary(summary: LoadSummary): string {
  const { retries, missing, unfinished } = summary;
  const lines = [
    `${count(summary.tasks)} × ${summary.type} to queue ${summary.queue} at ${summary.url}`,
    '',
    row('sent', summary.sent),
    row('accepted', summary.accepted, retries > 0 ? `${count(retries)} repeats after a refusal` : ''),
    row('refused', summary.refused),
    row('unknown', summary.unknown, summary.unknown > 0 ? 'the connection broke before the answer' : ''),
    row('succeeded', summary.succeeded),
    row('dead', summary.dead),
    row('cancelled', summary.cancelled),
    row(
      'lost',
      summary.lost,
      summary.lost ? `${count(missing)} missing, ${count(unfinished)} unfinished` : '',
    ),
    ...summary.lostIds.map((id) => `             ${id}`),
    '',
    row('sending', summary.sendPerSecond, 'tasks/s'),
    row('running', summary.throughputPerSecond, 'tasks/s'),
    '',
    `${'ms'.padEnd(12)}${['p50', 'p95', 'p99', 'max'].map((name) => name.padStart(12)).join('')}`,
    durations('HTTP enqueue', summary.enqueueMs),
    durations('queue wait', summary.queueWaitMs),
    durations('total', summary.totalMs),
  ];
  return `${lines.join('\n')}\n`;
}

function row(name: string, value: number | null, remark = ''): string {
  return `${name.padEnd(12)}${count(value).padStart(12)}  ${remark}`.trimEnd();
}

function durations(name: string, times: Percentiles | null): string {
  const cells = times ? [times.p50, times.p95, times.p99, times.max] : [null, null, null, null];
  return `${name.padEnd(12)}${cells.map((cell) => count(cell).padStart(12)).join('')}`;
}

/** A dash for a value that was not measured. */
function count(value: number | null): string {
  return value === null ? '-' : value.toLocaleString('en-US', { maximumFractionDigits: 1 });
}
