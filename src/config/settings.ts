// Every setting: its variable, its type with the default, and its meaning. docs/operations.md has the same table, which a
// test compares with this one.

import * as v from 'valibot';
import {
  allowedReceivers,
  apiKeyFile,
  apiKeys,
  codeVersion,
  flag,
  folder,
  httpOrigins,
  httpUrl,
  integer,
  list,
  listenAddress,
  logFormat,
  logLevel,
  queueNames,
  quota,
  pemFile,
  redisUrl,
  role,
  wholeNumber,
} from './setting-types.ts';

/** `byDefault`: the default in words, where the type has none. */
type Setting = readonly [variable: string, type: SettingType, text: string, byDefault?: string];
type SettingType = v.GenericSchema<string | undefined, unknown>;

const DAY_MS = 86_400_000;
const MB = 1_048_576;

export const SETTINGS = {
  role: ['APP_TYPE', v.optional(role, 'all'), '`server`, `worker` or `all`'],
  redisUrl: [
    'REDIS_URL',
    v.optional(redisUrl),
    '`redis://`, `redis+sentinel://`, `redis+cluster://`, the same with `rediss` for TLS, or the path of a unix socket',
    'embedded with `all`',
  ],
  redisTlsCa: [
    'REDIS_TLS_CA',
    v.optional(pemFile('CERTIFICATE')),
    'a file (PEM) with the authorities that the certificate of Redis may come from',
    'those of Node',
  ],
  redisTlsCert: [
    'REDIS_TLS_CERT',
    v.optional(pemFile('CERTIFICATE')),
    'a file (PEM) with the certificate that popfleet shows to Redis',
  ],
  redisTlsKey: [
    'REDIS_TLS_KEY',
    v.optional(pemFile('PRIVATE KEY')),
    'a file (PEM) with the key of that certificate',
  ],
  dataDir: [
    'DATA_DIR',
    v.optional(folder, '.popfleet'),
    'where the embedded Redis keeps its socket and its append-only file',
  ],
  host: ['HOST', v.optional(listenAddress, '127.0.0.1'), 'address that the server listens on'],
  port: ['PORT', integer(0, 65_535, 3_000), 'port that the server listens on; 0 = any free one'],
  metricsPort: [
    'METRICS_PORT',
    integer(0, 65_535, 0),
    'port of `HOST` with metrics that need no key, for all roles; 0 = none',
  ],
  queues: [
    'QUEUES',
    v.optional(queueNames),
    'queues a worker serves, separated by commas',
    '`default`, and those that definitions of tasks name',
  ],
  concurrency: [
    'CONCURRENCY',
    v.optional(wholeNumber(1, 1_024)),
    'tasks at the same time',
    'number of cores',
  ],
  threads: ['THREADS', v.optional(wholeNumber(1, 1_024)), 'threads that run them', 'as `CONCURRENCY`'],
  threadMemoryMb: ['THREAD_MEMORY_MB', integer(32, MB, 512), 'megabytes of JavaScript objects in one thread'],
  taskModules: ['TASKS', v.optional(list, ''), 'modules with task definitions, separated by commas'],
  codeVersion: [
    'CODE_VERSION',
    v.optional(codeVersion),
    'version of your own code, such as a commit: dead letters say under which they died',
    'version of popfleet',
  ],
  taskDurationMs: ['TASK_DURATION_MS', integer(0, DAY_MS, 20_000), 'how long the built-in tasks block'],
  fleetMin: ['FLEET_MIN', integer(0, 1_024, 1), 'fewest worker processes of `popfleet fleet`'],
  fleetMax: [
    'FLEET_MAX',
    v.optional(wholeNumber(1, 1_024)),
    'most worker processes of `popfleet fleet`',
    'number of cores',
  ],
  fleetWaitSeconds: [
    'FLEET_WAIT_SECONDS',
    integer(1, 86_400, 10),
    'how long a task should wait at most, by which `popfleet fleet` chooses their number',
  ],
  fleetMemoryMb: [
    'FLEET_MEMORY_MB',
    integer(0, MB, 0),
    'megabytes of memory with which a worker of `popfleet fleet` is replaced; 0 = without limit',
  ],
  leaseMs: ['LEASE_MS', integer(300, DAY_MS, 10_000), 'a worker silent for this long has lost its tasks'],
  heartbeatMs: ['HEARTBEAT_MS', integer(50, DAY_MS, 2_500), 'time between heartbeats of a worker'],
  blockMs: ['BLOCK_MS', integer(10, 60_000, 5_000), 'block time of one `BRPOP`'],
  popGraceMs: [
    'POP_GRACE_MS',
    integer(50, DAY_MS, 2_000),
    'a popped message unclaimed for this long runs again',
  ],
  shutdownGraceMs: [
    'SHUTDOWN_GRACE_MS',
    integer(0, DAY_MS, 25_000),
    'how long running tasks may finish after a SIGTERM',
  ],
  drainMs: ['DRAIN_MS', integer(0, DAY_MS, 3_000), 'how long a stopping server still takes requests'],
  resultTtlMs: ['RESULT_TTL_MS', integer(1_000, 365 * DAY_MS, DAY_MS), 'how long finished tasks are kept'],
  retentionBytes: [
    'RETENTION_BYTES',
    integer(0, 1e12, 256 * MB),
    'bytes of Redis that the finished tasks of a queue may take, about; 0 = without limit',
  ],
  resultLimitBytes: ['RESULT_LIMIT_BYTES', integer(64, 256 * MB, MB), 'largest result of a task'],
  lowLanesPercent: [
    'LOW_LANES_PERCENT',
    integer(0, 50, 0),
    'share of the fetches that serve the lower lanes first',
  ],
  bodyLimitBytes: [
    'BODY_LIMIT_BYTES',
    integer(64, 256 * MB, MB),
    'largest body of all other requests, and largest task of a batch',
  ],
  batchLimitBytes: [
    'BATCH_LIMIT_BYTES',
    integer(64, 256 * MB, 16 * MB),
    'largest body of a batch or a workflow',
  ],
  enqueueQuota: ['ENQUEUE_QUOTA', v.optional(quota), '`<tasks>/<seconds>` that a caller may send'],
  queueLimit: ['QUEUE_LIMIT', integer(0, 1e12, 0), 'tasks that may wait in one queue; 0 = without limit'],
  queueLimitBytes: [
    'QUEUE_LIMIT_BYTES',
    integer(0, 1e14, 0),
    'bytes that the inputs of the unfinished tasks of one queue may take, about; 0 = without limit',
  ],
  memoryReservePercent: [
    'MEMORY_RESERVE_PERCENT',
    integer(0, 90, 10),
    "share of Redis' `maxmemory` that new tasks may not touch; 0 = none",
  ],
  durableReplicas: [
    'DURABLE_REPLICAS',
    integer(1, 100, 1),
    'replicas that must have a task with `durability: replicas`',
  ],
  durableWaitMs: ['DURABLE_WAIT_MS', integer(1, 60_000, 1_500), 'how long a `durability` is waited for'],
  maxQueues: ['MAX_QUEUES', integer(1, 100_000, 1_000), 'queues there may be'],
  webhookConcurrency: [
    'WEBHOOK_CONCURRENCY',
    integer(0, 1_024, 32),
    'webhooks that a server delivers at the same time; 0 = it delivers none',
  ],
  webhookAllow: [
    'WEBHOOK_ALLOW',
    v.optional(allowedReceivers, ''),
    'hosts and networks (`10.0.0.0/8`) that webhooks may go to although they are not on the public internet, separated by commas',
  ],
  maxEventStreams: [
    'MAX_EVENT_STREAMS',
    integer(0, 1e6, 1_000),
    'event streams that a server serves at once',
  ],
  apiKeys: ['API_KEYS', v.optional(apiKeys), 'entries of the keys that callers may use'],
  apiKeysFile: ['API_KEYS_FILE', v.optional(apiKeyFile), 'a file with such entries'],
  allowAnonymous: ['ALLOW_ANONYMOUS', v.optional(flag, '0'), '`1`: without keys, let everyone in'],
  publicUrl: ['PUBLIC_URL', v.optional(httpUrl), 'where browsers find the server'],
  corsOrigins: [
    'CORS_ORIGINS',
    v.optional(httpOrigins),
    'origins whose pages may call the API with a key, separated by commas',
  ],
  maxConnections: ['MAX_CONNECTIONS', integer(1, 1e6, 10_000), 'open connections of a server'],
  logLevel: ['LOG_LEVEL', v.optional(logLevel, 'info'), '`trace` … `fatal`, `silent`'],
  logFormat: [
    'LOG_FORMAT',
    v.optional(logFormat, 'auto'),
    '`json`: a JSON object a line; `pretty`: lines for people; `auto`: `pretty` at a terminal, else `json`',
  ],
} satisfies Record<string, Setting>;

/** The default of a setting, in words. */
export function defaultOf([, type, , byDefault = 'none']: Setting): string {
  const text = v.getDefault(type);
  return typeof text === 'string' && text !== '' ? text : byDefault;
}
