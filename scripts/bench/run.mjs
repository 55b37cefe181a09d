// npm run bench: measures popfleet beside its peers and ceilings, prints tables, writes JSON. Ends with 1 when something
// broke, and never because of a speed.

import { readFileSync, writeFileSync } from 'node:fs';
import { HELP, readOptions } from './options.mjs';
import { prepare } from './packages.mjs';

async function main(options) {
  if (options.help) {
    console.log(HELP);
    return;
  }
  prepare(options);
  // Only now: these import packages that may have been missing a moment ago.
  const [{ runAll }, { renderReport }, { writeBlocks }] = await Promise.all([
    import('./run-all.mjs'),
    import('./table.mjs'),
    import('./document.mjs'),
  ]);
  const report = options.from ? merge(options.from.map(readReport)) : await runAll(options);
  const baseline = options.baseline ? readReport(options.baseline) : undefined;
  if (options.json) writeFileSync(options.json, `${JSON.stringify(report, undefined, 2)}\n`);
  const text = renderReport(report, baseline);
  console.log(text);
  if (options.write) writeBlocks(options.write, report, text);
  if (report.failures.length > 0) process.exitCode = 1;
}

const readReport = (file) => JSON.parse(readFileSync(file, 'utf8'));

/** Long runs may be split by scenario. A later file replaces the scenarios that it has too. */
function merge(reports) {
  const scenarios = new Map(reports.flatMap((report) => report.scenarios.map((one) => [one.name, one])));
  return {
    ...reports.at(-1),
    scenarios: [...scenarios.values()],
    failures: reports.flatMap(({ failures }) => failures),
    skipped: [...new Set(reports.flatMap(({ skipped }) => skipped))],
  };
}

// By themselves signals end a process without what it has planned for its end: to take everything down with it.
process.once('SIGINT', () => process.exit(130)).once('SIGTERM', () => process.exit(143));

try {
  await main(readOptions(process.argv.slice(2)));
} catch (error) {
  console.error(`bench: ${error.message}`);
  process.exitCode = 1;
}
