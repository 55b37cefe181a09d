import { expect, test } from 'vitest';
import { type Config, readConfig } from '../../src/config/config.ts';
import { faultsOf } from '../support/config-faults.ts';
import { makeKey } from '../support/keys.ts';

const CORES = 3;

const DEFAULTS: Config = {
  role: 'all',
  redisUrl: undefined,
  redisTls: { ca: undefined, cert: undefined, key: undefined },
  dataDir: '.popfleet',
  host: '127.0.0.1',
  port: 3_000,
  metricsPort: 0,
  concurrency: CORES,
  threads: CORES,
  threadMemoryMb: 512,
  codeVersion: undefined,
  queues: undefined,
  taskDurationMs: 20_000,
  taskModules: [],
  fleetMin: 1,
  fleetMax: CORES,
  fleetWaitSeconds: 10,
  fleetMemoryMb: 0,
  leaseMs: 10_000,
  heartbeatMs: 2_500,
  blockMs: 5_000,
  popGraceMs: 2_000,
  shutdownGraceMs: 25_000,
  drainMs: 3_000,
  resultTtlMs: 86_400_000,
  resultLimitBytes: 1_048_576,
  retentionBytes: 268_435_456,
  lowLanesPercent: 0,
  bodyLimitBytes: 1_048_576,
  batchLimitBytes: 16_777_216,
  enqueueQuota: undefined,
  queueLimit: 0,
  queueLimitBytes: 0,
  memoryReservePercent: 10,
  durableReplicas: 1,
  durableWaitMs: 1_500,
  maxQueues: 1_000,
  webhookConcurrency: 32,
  webhookAllow: [],
  apiKeys: [],
  allowAnonymous: false,
  publicUrl: undefined,
  corsOrigins: [],
  maxConnections: 10_000,
  maxEventStreams: 1_000,
  logLevel: 'info',
  logFormat: 'auto',
};

test('nothing set means the defaults', () => {
  expect(readConfig({}, CORES)).toEqual(DEFAULTS);
});

test('empty and undefined variables count as missing', () => {
  const names = [
    'APP_TYPE',
    'REDIS_URL',
    'PORT',
    'QUEUES',
    'CONCURRENCY',
    'TASKS',
    'HOST',
    'LEASE_MS',
    'API_KEYS',
    'API_KEYS_FILE',
    'ALLOW_ANONYMOUS',
    'PUBLIC_URL',
    'CORS_ORIGINS',
    'LOG_LEVEL',
  ];
  expect(readConfig(Object.fromEntries(names.map((name) => [name, ''])), CORES)).toEqual(DEFAULTS);
  expect(readConfig(Object.fromEntries(names.map((name) => [name, undefined])), CORES)).toEqual(DEFAULTS);
});

test('variables of others do not matter', () => {
  expect(readConfig({ PATH: '/bin', constructor: 'x', HOME: '/root' }, CORES)).toEqual(DEFAULTS);
});

test('every variable is read', () => {
  const key = makeKey(['enqueue', 'read'], ['mail']);
  const env = {
    APP_TYPE: 'worker',
    REDIS_URL: 'rediss://user:secret@example.org:6380/2',
    DATA_DIR: '/data',
    HOST: '::',
    PORT: '0',
    METRICS_PORT: '9100',
    QUEUES: 'mail, video ,mail,',
    CONCURRENCY: '12',
    THREADS: '4',
    THREAD_MEMORY_MB: '256',
    CODE_VERSION: '2.4.0-rc.1+4f5a2c1',
    TASK_DURATION_MS: '0',
    TASKS: './a.mjs, /b/c.js',
    FLEET_MIN: '0',
    FLEET_MAX: '6',
    FLEET_WAIT_SECONDS: '30',
    FLEET_MEMORY_MB: '700',
    LEASE_MS: '1200',
    HEARTBEAT_MS: '400',
    BLOCK_MS: '1000',
    POP_GRACE_MS: '500',
    SHUTDOWN_GRACE_MS: '0',
    DRAIN_MS: '500',
    RESULT_TTL_MS: '60000',
    RESULT_LIMIT_BYTES: '2048',
    RETENTION_BYTES: '0',
    LOW_LANES_PERCENT: '50',
    BODY_LIMIT_BYTES: '4096',
    BATCH_LIMIT_BYTES: '8192',
    ENQUEUE_QUOTA: '1000/60',
    QUEUE_LIMIT: '5',
    QUEUE_LIMIT_BYTES: '6',
    MEMORY_RESERVE_PERCENT: '0',
    DURABLE_REPLICAS: '2',
    DURABLE_WAIT_MS: '900',
    MAX_QUEUES: '7',
    WEBHOOK_CONCURRENCY: '8',
    WEBHOOK_ALLOW: 'hooks.internal, 10.0.0.0/8, fd00::/8, 192.168.1.7',
    API_KEYS: key.entry,
    ALLOW_ANONYMOUS: 'true',
    PUBLIC_URL: 'https://tasks.example.org/',
    CORS_ORIGINS: 'https://a.example.org, http://localhost:5173',
    MAX_CONNECTIONS: '50',
    MAX_EVENT_STREAMS: '20',
    LOG_LEVEL: 'silent',
    LOG_FORMAT: 'pretty',
  };
  expect(readConfig(env, CORES)).toEqual({
    role: 'worker',
    redisUrl: 'rediss://user:secret@example.org:6380/2',
    redisTls: { ca: undefined, cert: undefined, key: undefined },
    dataDir: '/data',
    host: '::',
    port: 0,
    metricsPort: 9_100,
    queues: ['mail', 'video'],
    concurrency: 12,
    threads: 4,
    threadMemoryMb: 256,
    codeVersion: '2.4.0-rc.1+4f5a2c1',
    taskDurationMs: 0,
    taskModules: ['./a.mjs', '/b/c.js'],
    fleetMin: 0,
    fleetMax: 6,
    fleetWaitSeconds: 30,
    fleetMemoryMb: 700,
    leaseMs: 1_200,
    heartbeatMs: 400,
    blockMs: 1_000,
    popGraceMs: 500,
    shutdownGraceMs: 0,
    drainMs: 500,
    resultTtlMs: 60_000,
    resultLimitBytes: 2_048,
    retentionBytes: 0,
    lowLanesPercent: 50,
    bodyLimitBytes: 4_096,
    batchLimitBytes: 8_192,
    enqueueQuota: { tasks: 1_000, seconds: 60 },
    queueLimit: 5,
    queueLimitBytes: 6,
    memoryReservePercent: 0,
    durableReplicas: 2,
    durableWaitMs: 900,
    maxQueues: 7,
    webhookConcurrency: 8,
    webhookAllow: ['hooks.internal', '10.0.0.0/8', 'fd00::/8', '192.168.1.7'],
    apiKeys: [key.apiKey],
    allowAnonymous: true,
    publicUrl: 'https://tasks.example.org',
    corsOrigins: ['https://a.example.org', 'http://localhost:5173'],
    maxConnections: 50,
    maxEventStreams: 20,
    logLevel: 'silent',
    logFormat: 'pretty',
  } satisfies Config);
});

test('every fault is told at once, one line each', () => {
  const faults = faultsOf({
    APP_TYPE: 'manager',
    REDIS_URL: 'http://example.org',
    PORT: '65536',
    QUEUES: 'fine,Not Fine',
    CONCURRENCY: '0',
    LEASE_MS: '1200',
    HEARTBEAT_MS: '401',
    LOG_LEVEL: 'loud',
  });
  expect(faults.toSorted()).toEqual([
    'APP_TYPE: manager app type not supported',
    'CONCURRENCY: must be a whole number from 1 to 1024',
    'LEASE_MS: must be at least three times HEARTBEAT_MS (1203)',
    'LOG_LEVEL: must be trace, debug, info, warn, error, fatal or silent',
    'PORT: must be a whole number from 0 to 65535',
    'QUEUES: must be queue names that match ^[a-z0-9][a-z0-9_.-]{0,63}$',
    'REDIS_URL: must begin with redis://, redis+sentinel:// or redis+cluster://, each with rediss for TLS, or with / (a unix socket)',
  ]);
});

test.each(['Server', 'master', ' all', 'all,worker', '0', '__proto__'])('"%s" is no role', (role) => {
  expect(faultsOf({ APP_TYPE: role })).toEqual([`APP_TYPE: ${role} app type not supported`]);
});

test.each([
  ['METRICS_PORT', ['-1', '65536', '9100.5', ' 9100', 'none']],
  ['PORT', ['-1', '65536', '3000.5', '3e3', '0x10', ' 3000', 'http', '99999999999999999999']],
  ['CONCURRENCY', ['0', '1025', '-2', 'many']],
  ['HEARTBEAT_MS', ['49', 'x']],
  ['BODY_LIMIT_BYTES', ['0', '1e6', '999999999999']],
  ['RESULT_LIMIT_BYTES', ['63', '268435457', '1kb']],
  ['RETENTION_BYTES', ['-1', '1000000000001']],
  ['LOW_LANES_PERCENT', ['51', '-1', '20%']],
  ['MAX_CONNECTIONS', ['0', '-1', 'all']],
  ['BATCH_LIMIT_BYTES', ['63', '268435457', '16MB']],
  ['QUEUE_LIMIT', ['-1', '1000000000001']],
  ['QUEUE_LIMIT_BYTES', ['-1', '1MB']],
  ['MEMORY_RESERVE_PERCENT', ['91', '-1', '10%']],
  ['FLEET_MIN', ['-1', '1025', 'all']],
  ['FLEET_MAX', ['0', '1025', 'cores']],
  ['FLEET_WAIT_SECONDS', ['0', '86401', '1m']],
  ['FLEET_MEMORY_MB', ['-1', '1048577', '1g']],
  ['DURABLE_REPLICAS', ['0', '101', 'all']],
  ['DURABLE_WAIT_MS', ['0', '60001', '2s']],
  ['MAX_QUEUES', ['0', '100001', 'many']],
  ['WEBHOOK_CONCURRENCY', ['-1', '1025', 'all']],
])('%s refuses %j', (name, values) => {
  for (const value of values) {
    const [fault, ...more] = faultsOf({ [name]: value });
    expect(fault).toMatch(new RegExp(`^${name}: must be a whole number from \\d+ to \\d+$`));
    expect(more).toEqual([]);
  }
});

test('a lease holds at least three heartbeats, also against a default', () => {
  expect(readConfig({ LEASE_MS: '1200', HEARTBEAT_MS: '400' }, 1).leaseMs).toBe(1_200);
  expect(faultsOf({ LEASE_MS: '1199', HEARTBEAT_MS: '400' })).toEqual([
    'LEASE_MS: must be at least three times HEARTBEAT_MS (1200)',
  ]);
  expect(faultsOf({ LEASE_MS: '5000' })).toEqual([
    'LEASE_MS: must be at least three times HEARTBEAT_MS (7500)',
  ]);
  expect(faultsOf({ HEARTBEAT_MS: '4000' })).toEqual([
    'LEASE_MS: must be at least three times HEARTBEAT_MS (12000)',
  ]);
});

test.each(['redis://localhost', 'redis://:pass@host:6379/1', 'rediss://host', '/run/redis.sock'])(
  '%s is an address of Redis',
  (url) => {
    expect(readConfig({ REDIS_URL: url }, 1).redisUrl).toBe(url);
  },
);

test('a password in a faulty address is not told', () => {
  expect(faultsOf({ REDIS_URL: 'reddis://:hunter2@host' }).join()).not.toContain('hunter2');
});

test('a list of queues without a name is a fault', () => {
  expect(faultsOf({ QUEUES: 'mail,webhooks' })).toEqual([
    'QUEUES: must not name webhooks: servers deliver webhooks (WEBHOOK_CONCURRENCY)',
  ]);
  expect(faultsOf({ WEBHOOK_ALLOW: '10.0.0.0/8, 127.1' })).toEqual([
    'WEBHOOK_ALLOW: "127.1" is neither a host nor a network such as 10.0.0.0/8',
  ]);
  expect(faultsOf({ QUEUES: ' , ' })).toEqual(['QUEUES: must name at least one queue']);
});

test('a machine that reports no core still runs one task', () => {
  expect(readConfig({}, 0).concurrency).toBe(1);
});

test('a fleet has no more than it shall have', () => {
  expect(faultsOf({ FLEET_MIN: '5', FLEET_MAX: '4' })).toEqual(['FLEET_MAX: must be at least FLEET_MIN (5)']);
  // Of few cores.
  expect(readConfig({ FLEET_MIN: '5' }, CORES).fleetMax).toBe(5);
});
