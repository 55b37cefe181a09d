// What `popfleet doctor` says of Redis itself.

import { PopfleetError } from '../protocol/errors.ts';
import type { RedisHealth } from '../store/redis-health.ts';
import type { Check } from './fleet-health.ts';
import type { Terminal } from './terminal.ts';

const MANUAL = 'docs/operations.md, "Redis"';
const TLS_VARIABLES = ['REDIS_TLS_CA', 'REDIS_TLS_CERT', 'REDIS_TLS_KEY'];
const SLOW_MS = 20;
const SKEWED_MS = 2_000;
const FULL_SHARE = 0.9;

/**
 * @param url as `REDIS_URL` has it
 * @param env with the variables that name the files for TLS
 */
export async function checkRedis(url: string, env: Terminal['env']): Promise<Check[]> {
  // The client of Redis is loaded only here.
  const [{ readRedisHealth }, { createLog }, { readConfig }] = await Promise.all([
    import('../store/redis-health.ts'),
    import('../log.ts'),
    import('../config/config.ts'),
  ]);
  const variables = Object.fromEntries(TLS_VARIABLES.map((name) => [name, env[name]]));
  try {
    const { redisTls } = readConfig({ ...variables, REDIS_URL: url }, 1);
    const health = await readRedisHealth({ url, tls: redisTls, log: createLog('silent', {}) });
    if (typeof health !== 'string') return judge(health);
    return [bad(`Redis cannot be used: ${health}`, `${MANUAL}, has a table of these words`)];
  } catch (error) {
    if (error instanceof PopfleetError) return [bad(error.message, 'correct the address')];
    const text = error instanceof Error ? error.message : String(error);
    return [bad(`Redis broke off: ${text}`, 'look at its log')];
  }
}

function judge(health: RedisHealth): Check[] {
  const { appendOnly, maxmemoryPolicy, latencyMs, clockAheadMs, refused } = health;
  return [
    versionCheck(health),
    refused.length === 0
      ? ok('its user may run every command')
      : bad(`its user may not run ${refused.join(', ')}`, `${MANUAL}, has the permissions that are needed`),
    maxmemoryPolicy === 'noeviction' || maxmemoryPolicy === ''
      ? ok('it evicts nothing (maxmemory-policy noeviction)')
      : bad(
          `it may evict tasks (maxmemory-policy ${maxmemoryPolicy})`,
          'CONFIG SET maxmemory-policy noeviction',
        ),
    appendOnly
      ? ok('it writes an append-only file')
      : warn('its tasks are lost when it ends (appendonly no)', 'CONFIG SET appendonly yes'),
    memoryCheck(health),
    latencyMs < SLOW_MS
      ? ok(`it answers in ${latencyMs.toFixed(1)} ms`)
      : warn(
          `it takes ${latencyMs.toFixed(1)} ms to answer`,
          'run servers and workers near it; SLOWLOG GET shows what is slow',
        ),
    Math.abs(clockAheadMs) < SKEWED_MS
      ? ok('its clock is that of this machine')
      : warn(`its clock is ${clockAheadMs} ms ahead of the one here`, 'let NTP set both clocks'),
  ];
}

function versionCheck({ name, version }: RedisHealth): Check {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (version === '')
    return warn('its version is not known: its user may not run INFO', `${MANUAL}, has the permissions`);
  if (major >= 7) return ok(`${name} ${version}`);
  if (major === 6 && minor >= 2) {
    return warn(
      `${name} ${version}: while memory is full, running tasks cannot be recorded`,
      'use Redis 7.0 or later',
    );
  }
  return bad(`${name} ${version} is too old`, 'use Redis 7.0 or later');
}

function memoryCheck({ usedMemoryBytes, maxmemoryBytes }: RedisHealth): Check {
  const megabytes = (bytes: number): string => `${Math.ceil(bytes / 1_000_000)} MB`;
  if (maxmemoryBytes === 0) return ok(`it uses ${megabytes(usedMemoryBytes)}, without a limit`);
  const text = `it uses ${megabytes(usedMemoryBytes)} of ${megabytes(maxmemoryBytes)}`;
  if (usedMemoryBytes < maxmemoryBytes * FULL_SHARE) return ok(text);
  return warn(text, 'give it more (maxmemory), or keep less (RESULT_TTL_MS, RETENTION_BYTES)');
}

function ok(text: string): Check {
  return { name: 'redis', level: 'ok', text };
}

function warn(text: string, fix: string): Check {
  return { name: 'redis', level: 'warn', text, fix };
}

function bad(text: string, fix: string): Check {
  return { name: 'redis', level: 'bad', text, fix };
}
