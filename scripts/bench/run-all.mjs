// Runs scenarios round by round and gathers what was measured.

import { machine } from './machine.mjs';
import { measure } from './measure.mjs';
import { versions } from './packages.mjs';
import { postgresService } from './postgres.mjs';
import { SCENARIOS, VARIANTS } from './scenarios.mjs';

export async function runAll(options) {
  const { smoke, aof, latencyMs, rounds } = options;
  const report = {
    at: new Date().toISOString(),
    mode: { smoke, aof, latencyMs, rounds },
    machine: machine(),
    versions: versions(),
    scenarios: [],
    skipped: [],
    failures: [],
  };
  const wanted = choose(SCENARIOS, options.scenarios, ({ name }) => name, 'scenario');
  const names = new Set(choose(VARIANTS, options.variants, (name) => name, 'variant'));
  const postgres = postgresService({ durable: aof });
  try {
    const plan = [];
    for (const scenario of wanted) {
      const variants = await usable(scenario, names, options, report.skipped);
      if (variants.length > 0) plan.push({ scenario, variants });
    }
    const measureOne = options.smoke ? createSmoke(plan) : measureAlone;
    for (const { scenario, variants } of plan)
      await runScenario({ scenario, variants, options, report, postgres, measureOne });
  } finally {
    await postgres.stop();
  }
  return report;
}

function choose(all, names, nameOf, what) {
  if (!names) return all;
  const unknown = names.filter((name) => !all.some((one) => nameOf(one) === name));
  if (unknown.length > 0)
    throw new Error(`no such ${what}: ${unknown.join(', ')} (${all.map(nameOf).join(', ')})`);
  return all.filter((one) => names.includes(nameOf(one)));
}

/** Those that are installed here. A smoke run leaves out the peers that need a program outside npm, unless named. */
async function usable(scenario, names, options, skipped) {
  const found = [];
  for (const name of scenario.variants.filter((one) => names.has(one))) {
    if (options.smoke && !options.variants && scenario.smokePeers === false && !name.startsWith('popfleet'))
      continue;
    const variant = await import(`./variants/${name}.mjs`);
    if (options.smoke && variant.needsProgram && !options.variants?.includes(name)) continue;
    const missing = variant.missing?.({ scenario: scenario.name });
    if (missing === undefined)
      found.push({ name, title: variant.title, needs: variant.needs, share: variant.share ?? 1 });
    else say(skipped, `skipped ${name} in ${scenario.name}: ${missing}`);
  }
  return found;
}

function say(skipped, line) {
  skipped.push(line);
  console.error(`bench: ${line}`);
}

/** @returns the values of one scenario, and the version of Redis */
async function measureAlone(scenario, settings) {
  const { values, redisVersion } = await measure({ ...settings, scenarios: [scenario] });
  return { values: values[scenario.name], redisVersion };
}

/**
 * As `measureAlone`, for a run that asks whether everything still runs: also on a machine so busy that a client may give Redis up, so it
 * tries twice; and scenarios that share a process (`smokeWith`) are measured with the first of them.
 */
function createSmoke(plan) {
  const measured = new Map();
  return async (scenario, settings) => {
    const { variant } = settings;
    const key = `${variant} ${scenario.smokeWith}`;
    if (!(scenario.name in (measured.get(key)?.values ?? {}))) {
      const scenarios = plan
        .filter((one) => one.variants.some(({ name }) => name === variant))
        .map((one) => one.scenario)
        .filter(
          ({ name, smokeWith }) => name === scenario.name || (smokeWith && smokeWith === scenario.smokeWith),
        );
      const together = {
        ...settings,
        scenarios: scenarios.map((one) => (one.name === scenario.name ? scenario : one)),
      };
      measured.set(key, await measure(together).catch(() => measure(together)));
    }
    const { values, redisVersion } = measured.get(key);
    const own = values[scenario.name];
    // A further round measures again.
    delete values[scenario.name];
    return { values: own, redisVersion };
  };
}

async function runScenario({ scenario, variants, options, report, postgres, measureOne }) {
  const results = new Map(variants.map(({ name, title }) => [name, { name, title, rounds: [] }]));
  const rounds = Math.min(options.rounds, scenario.maxRounds ?? options.rounds);
  for (let round = 0; round < rounds; round += 1) {
    // There and back again (ABBA), so that a machine that warms up or slows down favours nobody.
    for (const variant of round % 2 === 0 ? variants : variants.toReversed()) {
      const began = performance.now();
      try {
        const settings = {
          ...options,
          variant: variant.name,
          postgres: variant.needs === 'postgres' ? await postgres.started() : undefined,
        };
        const { values, redisVersion } = await measureOne(shareOf(scenario, variant.share), settings);
        report.versions.redis = redisVersion;
        results.get(variant.name).rounds.push(values);
        progress(scenario, variant, round, rounds, values, began);
      } catch (error) {
        const what = `${scenario.name}, ${variant.name}, round ${round + 1}`;
        console.error(`bench: FAILED ${what}: ${error.message}`);
        report.failures.push(`${what}: ${gist(error.message)}`);
      }
    }
  }
  report.scenarios.push({
    name: scenario.name,
    size: options.smoke ? scenario.smoke : scenario.full,
    variants: [...results.values()],
  });
}

/** What a process said when it died, without the code around the fault and the stack. */
function gist(text) {
  return (/^\w*Error: .*/m.exec(text) ?? [text])[0].split('\n', 1)[0];
}

/** A peer that is ten times slower gets fewer tasks: its rate needs no more, and the run ends the same day. */
function shareOf(scenario, share) {
  if (share === 1) return scenario;
  const less = (size) => ({ ...size, n: Math.max(1_000, Math.ceil(size.n * share)) });
  return { ...scenario, full: less(scenario.full), smoke: less(scenario.smoke) };
}

function progress(scenario, variant, round, rounds, values, began) {
  const shown = Object.entries(values).map(([name, value]) => `${name} ${Number(value.toPrecision(4))}`);
  const took = ((performance.now() - began) / 1_000).toFixed(1);
  console.error(
    `${scenario.name}  ${round + 1}/${rounds}  ${variant.name}: ${shown.join(', ')}  (${took} s)`,
  );
}
