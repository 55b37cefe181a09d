// The only reader of the environment: reads the table of settings, and reports every fault at once.

import * as v from 'valibot';
import { PopfleetError } from '../protocol/errors.ts';
import { slipOf } from '../protocol/nearest.ts';
import { type ApiKey, repeatedIds } from '../server/auth/api-keys.ts';
import { isLoopback } from '../server/auth/loopback.ts';
import type { TlsFiles } from '../store/client.ts';
import { SETTINGS } from './settings.ts';

type Name = keyof typeof SETTINGS;
type Values = { readonly [N in Name]: v.InferOutput<(typeof SETTINGS)[N][1]> };

/** The settings of a role; `undefined` = not set. The keys of both variables are in `apiKeys`. */
export type Config = Readonly<
  Omit<
    Values,
    | 'concurrency'
    | 'threads'
    | 'fleetMax'
    | 'apiKeys'
    | 'apiKeysFile'
    | 'corsOrigins'
    | 'redisTlsCa'
    | 'redisTlsCert'
    | 'redisTlsKey'
  >
> & {
  readonly concurrency: number;
  readonly threads: number;
  readonly fleetMax: number;
  readonly redisTls: TlsFiles;
  readonly apiKeys: readonly ApiKey[];
  readonly corsOrigins: readonly string[];
};

/** A check of several settings together, made when each of them is valid by itself. */
interface Rule {
  /** Settings of the check; the fault is reported for the first. */
  readonly of: readonly Name[];
  readonly fault: (values: Values) => string | undefined;
}

const RULES: readonly Rule[] = [
  {
    // A sweep is due once a heartbeat, and a gap of half a lease counts as an outage of Redis.
    of: ['leaseMs', 'heartbeatMs'],
    fault: ({ leaseMs, heartbeatMs }) =>
      leaseMs < 3 * heartbeatMs
        ? `must be at least three times HEARTBEAT_MS (${3 * heartbeatMs})`
        : undefined,
  },
  {
    of: ['fleetMax', 'fleetMin'],
    fault: ({ fleetMax = Number.POSITIVE_INFINITY, fleetMin }) =>
      fleetMax < fleetMin ? `must be at least FLEET_MIN (${fleetMin})` : undefined,
  },
  {
    of: ['redisUrl', 'redisTlsCa', 'redisTlsCert', 'redisTlsKey'],
    fault: ({ redisUrl = '', redisTlsCa, redisTlsCert, redisTlsKey }) =>
      [redisTlsCa, redisTlsCert, redisTlsKey].some((file) => file !== undefined) &&
      !/^\s*rediss/i.test(redisUrl)
        ? 'must begin with rediss://, rediss+sentinel:// or rediss+cluster:// where REDIS_TLS_CA, REDIS_TLS_CERT or REDIS_TLS_KEY is set'
        : undefined,
  },
  {
    of: ['redisTlsCert', 'redisTlsKey'],
    fault: ({ redisTlsCert, redisTlsKey }) =>
      (redisTlsCert === undefined) === (redisTlsKey === undefined)
        ? undefined
        : 'is of use only together with REDIS_TLS_KEY: set both, or neither',
  },
  {
    of: ['apiKeysFile', 'apiKeys'],
    fault: (values) => {
      const repeated = repeatedIds(keysOf(values));
      return repeated.size > 0 ? `has an id of API_KEYS again: ${[...repeated].join(', ')}` : undefined;
    },
  },
  {
    // Other machines could reach a server that needs no key, and ALLOW_ANONYMOUS is not set to allow that.
    of: ['host', 'role', 'apiKeys', 'apiKeysFile', 'allowAnonymous'],
    fault: (values) => {
      const isOpen = values.role !== 'worker' && !isLoopback(values.host) && keysOf(values).length === 0;
      return isOpen && !values.allowAnonymous
        ? `${values.host} can be reached from other machines: set API_KEYS (popfleet key makes one), or ` +
            'ALLOW_ANONYMOUS=1 to let everyone send, read and cancel tasks'
        : undefined;
    },
  },
];

/**
 * Reads the configuration from variables; empty ones count as missing.
 * @param cores default of CONCURRENCY and FLEET_MAX
 * @throws PopfleetError `bad-config` whose message has one line for each fault
 */
export function readConfig(env: Readonly<Record<string, string | undefined>>, cores: number): Config {
  const read: Partial<Record<Name, unknown>> = {};
  const faults: string[] = [];
  for (const name of Object.keys(SETTINGS) as Name[]) {
    const [variable, type] = SETTINGS[name];
    const parsed = v.safeParse(type, env[variable] || undefined);
    if (parsed.success) read[name] = parsed.output;
    else faults.push(...parsed.issues.map(({ message }) => `${variable}: ${message}`));
  }
  const values = read as Values;
  for (const { of, fault } of RULES) {
    const found = of.every((name) => name in read) ? fault(values) : undefined;
    if (found !== undefined) faults.push(`${SETTINGS[of[0] as Name][0]}: ${found}`);
  }
  if (faults.length > 0) throw new PopfleetError('bad-config', faults.join('\n'));
  const {
    apiKeysFile: _,
    redisTlsCa: ca,
    redisTlsCert: cert,
    redisTlsKey: key,
    concurrency = Math.max(1, cores),
    threads = concurrency,
    fleetMax = Math.max(values.fleetMin, cores, 1),
    ...others
  } = values;
  return {
    ...others,
    redisTls: { ca, cert, key },
    concurrency,
    threads,
    fleetMax,
    apiKeys: keysOf(values),
    corsOrigins: values.corsOrigins ?? [],
  };
}

/** A shorter name of something else is too often near to one of a setting. Characters. */
const SHORTEST_SLIP = 5;
/** Many programs have a secret of theirs in this one. */
const NO_SLIPS: ReadonlySet<string> = new Set(['API_KEY']);

/** Variables that no setting has, each with the one that is most likely meant, and is not set. */
export function slipsIn(
  env: Readonly<Record<string, string | undefined>>,
): readonly { readonly variable: string; readonly meant: string }[] {
  const known = Object.values(SETTINGS).map(([variable]): string => variable);
  const missing = known.filter((variable) => !env[variable]);
  return Object.keys(env).flatMap((variable) => {
    if (variable.length < SHORTEST_SLIP || known.includes(variable) || NO_SLIPS.has(variable)) return [];
    const meant = slipOf(variable, missing);
    return meant === undefined ? [] : [{ variable, meant }];
  });
}

function keysOf({ apiKeys = [], apiKeysFile = [] }: Values): readonly ApiKey[] {
  return [...apiKeys, ...apiKeysFile];
}
