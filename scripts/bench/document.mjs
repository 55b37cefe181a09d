// Puts measured tables into a document: what stands between `<!-- table:NAME -->` and `<!-- /table:NAME -->` is replaced.

import { readFileSync, writeFileSync } from 'node:fs';

export function writeBlocks(file, report, tables) {
  let text = readFileSync(file, 'utf8');
  text = fill(text, `table:${blockName(report.mode)}`, `${measuredOn(report)}\n\n${tables}`);
  writeFileSync(file, text);
}

function blockName({ smoke, aof, latencyMs }) {
  if (smoke) throw new Error('--write: a smoke run measures nothing worth keeping');
  if (aof && latencyMs > 0)
    throw new Error('--write: there is no block for latency and append-only file together');
  if (aof) return 'aof';
  return latencyMs > 0 ? 'latency' : 'default';
}

function measuredOn({ at, machine, versions, mode }) {
  const { cpu, cores, memoryGb, system, node } = machine;
  const { redis, ...packages } = versions;
  const named = Object.entries(packages).map(([name, version]) => `${name} ${version}`);
  return [
    `Measured ${at.slice(0, 10)}, ${mode.rounds} rounds: ${cpu}, ${cores} cores, ${memoryGb} GB, ${system},`,
    `Node ${node.slice(1)}, Redis ${redis}; ${named.join(', ')}.`,
  ].join('\n');
}

function fill(text, name, content) {
  const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const [from, to] = [text.indexOf(open), text.indexOf(close)];
  if (from < 0 || to < from) throw new Error(`--write: the document has no block ${open} … ${close}`);
  return `${text.slice(0, from + open.length)}\n\n${content}\n\n${text.slice(to)}`;
}
