// The only reader of the environment. Every fault of a configuration is told at once.

import * as v from 'valibot';
import { accessVariables, allKeys, isLeftOpen } from './access-variables.ts';
import { LOG_FORMATS, LOG_LEVELS, type LogFormat } from './log.ts';
import { PopfleetError } from './protocol/errors.ts';
import { DEFAULT_QUEUE, QUEUE_NAME } from './protocol/names.ts';
import { faultOfRedisUrl } from './store/redis-url.ts';
import { type ApiKey, repeatedIds } from './server/auth/api-keys.ts';

export type Role = 'server' | 'worker' | 'all';
const ROLES: readonly string[] = ['server', 'worker', 'all'] satisfies Role[];

export interface Config {
  readonly role: Role;
  /** `undefined` means the embedded Redis in `dataDir`. */
  readonly redisUrl: string | undefined;
  readonly dataDir: string;
  readonly host: string;
  readonly port: number;
  readonly queues: readonly string[];
  readonly concurrency: number;
  readonly threads: number;
  readonly threadMemoryMb: number;
  readonly taskDurationMs: number;
  readonly taskModules: readonly string[];
  readonly leaseMs: number;
  readonly heartbeatMs: number;
  readonly blockMs: number;
  readonly popGraceMs: number;
  readonly shutdownGraceMs: number;
  readonly drainMs: number;
  readonly resultTtlMs: number;
  readonly resultLimitBytes: number;
  readonly retentionBytes: number;
  readonly lowLanesPercent: number;
  readonly bodyLimitBytes: number;
  readonly batchLimitBytes: number;
  /** `undefined` = without limit. */
  readonly enqueueQuota: { readonly tasks: number; readonly seconds: number } | undefined;
  readonly queueLimit: number;
  readonly queueLimitBytes: number;
  readonly memoryReservePercent: number;
  readonly maxQueues: number;
  /** None: no key is asked for. */
  readonly apiKeys: readonly ApiKey[];
  readonly allowAnonymous: boolean;
  /** Where browsers find the server: an origin, and a path when a proxy has it under one. No slash at the end. */
  readonly publicUrl: string | undefined;
  readonly corsOrigins: readonly string[];
  readonly maxConnections: number;
  readonly maxEventStreams: number;
  readonly logLevel: string;
  readonly logFormat: LogFormat;
}

const DAY_MS = 86_400_000;

const list = v.pipe(
  v.string(),
  v.transform((text) =>
    text
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== ''),
  ),
);

/** A whole number in a variable, within bounds that make sense for it. */
function integer(fallback: number, min: number, max: number) {
  const message = `must be a whole number from ${min} to ${max}`;
  return v.optional(
    v.pipe(
      v.string(),
      v.regex(/^\d{1,15}$/, message),
      v.transform(Number),
      v.minValue(min, message),
      v.maxValue(max, message),
    ),
    String(fallback),
  );
}

function variables(cores: number) {
  return v.object({
    APP_TYPE: v.optional(
      v.pipe(
        v.string(),
        v.check(
          (role) => ROLES.includes(role),
          (issue) => `${issue.input} app type not supported`,
        ),
      ),
      'all',
    ),
    REDIS_URL: v.optional(
      v.pipe(
        v.string(),
        v.check(
          (url) => faultOfRedisUrl(url) === undefined,
          (issue) => faultOfRedisUrl(issue.input) ?? '',
        ),
      ),
    ),
    DATA_DIR: v.optional(v.pipe(v.string(), v.nonEmpty('must name a folder')), '.popfleet'),
    // Brackets belong to an IPv6 address within a URL; here it stands alone.
    HOST: v.optional(
      v.pipe(
        v.string(),
        v.transform((text) => text.trim().replace(/^\[(.*)\]$/, '$1')),
        v.nonEmpty('must name an address'),
      ),
      '127.0.0.1',
    ),
    PORT: integer(3_000, 0, 65_535),
    QUEUES: v.optional(
      v.pipe(
        list,
        v.minLength(1, 'must name at least one queue'),
        v.everyItem((queue) => QUEUE_NAME.test(queue), `must be queue names that match ${QUEUE_NAME.source}`),
      ),
      DEFAULT_QUEUE,
    ),
    CONCURRENCY: integer(cores, 1, 1_024),
    THREADS: v.optional(integer(1, 1, 1_024)),
    THREAD_MEMORY_MB: integer(512, 32, 1_048_576),
    TASK_DURATION_MS: integer(20_000, 0, DAY_MS),
    TASKS: v.optional(list, ''),
    LEASE_MS: integer(10_000, 300, DAY_MS),
    HEARTBEAT_MS: integer(2_500, 50, DAY_MS),
    BLOCK_MS: integer(5_000, 10, 60_000),
    POP_GRACE_MS: integer(2_000, 50, DAY_MS),
    SHUTDOWN_GRACE_MS: integer(25_000, 0, DAY_MS),
    DRAIN_MS: integer(3_000, 0, DAY_MS),
    RESULT_TTL_MS: integer(DAY_MS, 1_000, 365 * DAY_MS),
    RESULT_LIMIT_BYTES: integer(1_048_576, 64, 256 * 1_048_576),
    RETENTION_BYTES: integer(268_435_456, 0, 1e12),
    LOW_LANES_PERCENT: integer(0, 0, 50),
    BODY_LIMIT_BYTES: integer(1_048_576, 64, 256 * 1_048_576),
    BATCH_LIMIT_BYTES: integer(16 * 1_048_576, 64, 256 * 1_048_576),
    ENQUEUE_QUOTA: v.optional(
      v.pipe(
        v.string(),
        v.regex(
          /^[1-9]\d{0,8}\/[1-9]\d{0,4}$/,
          'must be <tasks>/<seconds>, such as 1000/60: 1 to 999999999 tasks in 1 to 99999 seconds',
        ),
        v.transform((text) => {
          const [tasks, seconds] = text.split('/').map(Number);
          return { tasks: tasks as number, seconds: seconds as number };
        }),
      ),
    ),
    QUEUE_LIMIT: integer(0, 0, 1e12),
    QUEUE_LIMIT_BYTES: integer(0, 0, 1e14),
    MEMORY_RESERVE_PERCENT: integer(10, 0, 90),
    MAX_QUEUES: integer(1_000, 1, 100_000),
    ...accessVariables(),
    MAX_CONNECTIONS: integer(10_000, 1, 1_000_000),
    MAX_EVENT_STREAMS: integer(1_000, 0, 1_000_000),
    LOG_LEVEL: v.optional(
      v.picklist(LOG_LEVELS, 'must be trace, debug, info, warn, error, fatal or silent'),
      'info',
    ),
    LOG_FORMAT: v.optional(v.picklist(LOG_FORMATS, 'must be auto, json or pretty'), 'auto'),
  });
}

/** A sweep is due once a heartbeat, and a gap of half a lease counts as an outage of Redis. */
function schema(cores: number) {
  return v.pipe(
    variables(cores),
    v.forward(
      v.partialCheck(
        [['LEASE_MS'], ['HEARTBEAT_MS']],
        (read) => read.LEASE_MS >= 3 * read.HEARTBEAT_MS,
        ({ input }) => `must be at least three times HEARTBEAT_MS (${3 * input.HEARTBEAT_MS})`,
      ),
      ['LEASE_MS'],
    ),
    v.forward(
      v.partialCheck(
        [['API_KEYS'], ['API_KEYS_FILE']],
        (read) => repeatedIds(allKeys(read)).size === 0,
        ({ input }) => `has an id of API_KEYS again: ${[...repeatedIds(allKeys(input))].join(', ')}`,
      ),
      ['API_KEYS_FILE'],
    ),
    v.forward(
      v.partialCheck(
        [['APP_TYPE'], ['HOST'], ['API_KEYS'], ['API_KEYS_FILE'], ['ALLOW_ANONYMOUS']],
        (read) => !isLeftOpen(read),
        ({ input }) =>
          `${input.HOST} can be reached from other machines: set API_KEYS (popfleet key makes one), or ` +
          'ALLOW_ANONYMOUS=1 to let everyone send, read and cancel tasks',
      ),
      ['HOST'],
    ),
  );
}

/**
 * Reads the configuration from variables; empty ones count as missing.
 * @param cores default of CONCURRENCY
 * @throws PopfleetError `bad-config` whose message has one line for each fault
 */
export function readConfig(env: Readonly<Record<string, string | undefined>>, cores: number): Config {
  const given = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value !== ''),
  );
  const parsed = v.safeParse(schema(Math.max(1, cores)), given);
  if (!parsed.success) {
    const faults = parsed.issues.map((issue) => `${v.getDotPath(issue)}: ${issue.message}`);
    throw new PopfleetError('bad-config', faults.join('\n'));
  }
  const read = parsed.output;
  return {
    role: read.APP_TYPE as Role,
    redisUrl: read.REDIS_URL,
    dataDir: read.DATA_DIR,
    host: read.HOST,
    port: read.PORT,
    queues: [...new Set(read.QUEUES)],
    concurrency: read.CONCURRENCY,
    threads: read.THREADS ?? read.CONCURRENCY,
    threadMemoryMb: read.THREAD_MEMORY_MB,
    taskDurationMs: read.TASK_DURATION_MS,
    taskModules: read.TASKS,
    leaseMs: read.LEASE_MS,
    heartbeatMs: read.HEARTBEAT_MS,
    blockMs: read.BLOCK_MS,
    popGraceMs: read.POP_GRACE_MS,
    shutdownGraceMs: read.SHUTDOWN_GRACE_MS,
    drainMs: read.DRAIN_MS,
    resultTtlMs: read.RESULT_TTL_MS,
    resultLimitBytes: read.RESULT_LIMIT_BYTES,
    retentionBytes: read.RETENTION_BYTES,
    lowLanesPercent: read.LOW_LANES_PERCENT,
    bodyLimitBytes: read.BODY_LIMIT_BYTES,
    batchLimitBytes: read.BATCH_LIMIT_BYTES,
    enqueueQuota: read.ENQUEUE_QUOTA,
    queueLimit: read.QUEUE_LIMIT,
    queueLimitBytes: read.QUEUE_LIMIT_BYTES,
    memoryReservePercent: read.MEMORY_RESERVE_PERCENT,
    maxQueues: read.MAX_QUEUES,
    apiKeys: allKeys(read),
    allowAnonymous: read.ALLOW_ANONYMOUS,
    publicUrl: read.PUBLIC_URL,
    corsOrigins: read.CORS_ORIGINS ?? [],
    maxConnections: read.MAX_CONNECTIONS,
    maxEventStreams: read.MAX_EVENT_STREAMS,
    logLevel: read.LOG_LEVEL,
    logFormat: read.LOG_FORMAT,
  };
}
