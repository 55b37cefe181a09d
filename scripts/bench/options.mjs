// The command line of the benchmark.

import { parseArgs } from 'node:util';

export const HELP = `npm run bench -- [options]
  --smoke              small numbers, one round, only peers from npm: does everything still run?
  --rounds N           measurements of each variant (5)
  --scenario a,b       only these scenarios
  --variant x,y        only these variants
  --aof                with the append-only file, appendfsync everysec
  --latency-ms N       latency in front of Redis, a round trip
  --json FILE          writes the results there
  --from FILE,FILE     measures nothing: shows results that were written before
  --baseline FILE      results to compare every ratio with (of a run without latency)
  --write FILE         puts the tables into the marked blocks of a document
  --no-build           measures dist/ as it is, also when src/ has changed since
  --help               this text`;

const list = (text) => text?.split(',').filter((item) => item !== '');

/** @throws with a message for the person who typed it */
export function readOptions(args) {
  const { values } = parseArgs({
    args,
    options: {
      smoke: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      scenario: { type: 'string' },
      variant: { type: 'string' },
      aof: { type: 'boolean', default: false },
      'latency-ms': { type: 'string', default: '0' },
      json: { type: 'string' },
      from: { type: 'string' },
      baseline: { type: 'string' },
      write: { type: 'string' },
      'no-build': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const rounds = Number(values.rounds ?? (values.smoke ? 1 : 5));
  const latencyMs = Number(values['latency-ms']);
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error('--rounds must be a whole number from 1');
  if (!(latencyMs >= 0)) throw new Error('--latency-ms must be a number from 0');
  const { smoke, aof, json, baseline, write, help } = values;
  return {
    smoke,
    aof,
    json,
    baseline,
    write,
    help,
    rounds,
    latencyMs,
    build: !values['no-build'],
    scenarios: list(values.scenario),
    variants: list(values.variant),
    from: list(values.from),
  };
}
