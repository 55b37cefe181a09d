// What is measured, in which unit, how large, and which ratios are the goals. Data alone: variants/ holds the code.
//
// Numbers with a direction (`better`) are shown as ratios too.
// A goal compares the medians of popfleet and a peer from the same run (`against`), or looks at a number of popfleet
// alone. `latencyGoals` stand in place of `goals` in runs with latency in front of Redis. `n` is the number of tasks, samples
// or requests of one measurement. `smokePeers: false`: a smoke run measures popfleet alone, because the same peers have sent
// tasks in `enqueue-single` and run them in `process-inline`.

const PER_SECOND = { key: 'perSecond', title: 'per second', better: 'higher' };
const P50 = { key: 'p50Ms', title: 'p50 ms', better: 'lower' };
const P99 = { key: 'p99Ms', title: 'p99 ms', better: 'lower' };
/** No ratio to peers: who sends single commands where others send scripts is not the better for it. */
const SCRIPT_CALLS = { key: 'scriptCalls', title: 'script calls a task' };
const FEW_SCRIPT_CALLS = { metric: 'scriptCalls', atMost: 0.05 };

/** Of the process that serves, all threads. */
const CPU = { key: 'cpuUs', title: 'µs of CPU of the server', better: 'lower' };

export const SCENARIOS = [
  {
    name: 'enqueue-single',
    title: 'enqueue one by one, 100 calls in flight',
    variants: ['popfleet', 'bullmq', 'bee-queue', 'bunqueue', 'celery', 'bare-redis', 'redis-benchmark'],
    metrics: [PER_SECOND],
    full: { n: 100_000, inFlight: 100, batch: 1_000 },
    smoke: { n: 1_000, inFlight: 100, batch: 1_000 },
    smokeWith: 'sending',
    goals: [
      { metric: 'perSecond', against: 'bullmq', atLeast: 3 },
      { metric: 'perSecond', against: 'bee-queue', atLeast: 1.15 },
    ],
    latencyGoals: [{ metric: 'perSecond', against: 'bullmq', atLeast: 2 }],
  },
  {
    name: 'enqueue-bulk',
    title: 'enqueue in batches of 1,000, one after the other',
    variants: ['popfleet', 'bullmq', 'bee-queue', 'bunqueue', 'sidekiq', 'bare-redis', 'redis-benchmark'],
    metrics: [PER_SECOND],
    full: { n: 200_000, batch: 1_000 },
    smoke: { n: 5_000, batch: 1_000 },
    smokeWith: 'sending',
    smokePeers: false,
    goals: [
      { metric: 'perSecond', against: 'bullmq', atLeast: 6 },
      { metric: 'perSecond', against: 'bee-queue', atLeast: 1.5 },
      { metric: 'perSecond', against: 'sidekiq', atLeast: 1.2 },
    ],
  },
  {
    name: 'process-inline',
    title: 'process, handler on the main thread, 50 at a time',
    variants: [
      'popfleet',
      'bullmq',
      'bee-queue',
      'bunqueue',
      'graphile-worker',
      'sidekiq',
      'celery',
      'bare-redis',
    ],
    metrics: [PER_SECOND, SCRIPT_CALLS],
    full: { n: 100_000, batch: 1_000, concurrency: 50 },
    smoke: { n: 3_000, batch: 1_000, concurrency: 50 },
    goals: [
      { metric: 'perSecond', against: 'bullmq', atLeast: 3.2 },
      { metric: 'perSecond', against: 'bee-queue', atLeast: 2 },
      { metric: 'perSecond', against: 'graphile-worker', atLeast: 1.5 },
      { metric: 'perSecond', against: 'bare-redis', atLeast: 0.62 },
      FEW_SCRIPT_CALLS,
    ],
    latencyGoals: [{ metric: 'perSecond', against: 'graphile-worker', atLeast: 1.3 }, FEW_SCRIPT_CALLS],
  },
  {
    name: 'process-threads',
    title: 'process, handler in 2 threads',
    variants: ['popfleet', 'bullmq', 'piscina'],
    metrics: [PER_SECOND, SCRIPT_CALLS],
    full: { n: 100_000, batch: 1_000, concurrency: 2 },
    smoke: { n: 3_000, batch: 1_000, concurrency: 2 },
    goals: [
      { metric: 'perSecond', against: 'bullmq', atLeast: 5 },
      { metric: 'perSecond', against: 'piscina', atLeast: 0.8 },
    ],
  },
  {
    name: 'pick-up',
    title: 'pick-up latency of an idle worker: enqueue one, until its handler starts',
    variants: ['popfleet', 'popfleet-threads', 'bullmq', 'bee-queue', 'bare-redis'],
    metrics: [P50, P99],
    full: { n: 500 },
    smoke: { n: 10 },
    smokeWith: 'timing',
    smokePeers: false,
    goals: [
      { metric: 'p50Ms', against: 'bullmq', atMost: 0.5 },
      { metric: 'p50Ms', against: 'bee-queue', atMost: 0.8 },
      { metric: 'p50Ms', against: 'bare-redis', atMost: 1.6 },
      { metric: 'p99Ms', against: 'bullmq', atMost: 0.6 },
      { of: 'popfleet-threads', metric: 'p50Ms', against: 'bullmq', atMost: 0.65 },
    ],
    latencyGoals: [{ metric: 'p50Ms', against: 'bullmq', atMost: 0.6 }],
  },
  {
    name: 'open-loop',
    title: 'pick-up at shares of the capacity, from the time at which a task was to be sent',
    variants: ['popfleet', 'popfleet-threads', 'bullmq', 'bee-queue', 'bare-redis'],
    metrics: [
      { key: 'perSecond', title: 'capacity per second', better: 'higher' },
      { key: 'p50At10Ms', title: 'p50 ms at 10 %', better: 'lower' },
      { key: 'p99At10Ms', title: 'p99 ms at 10 %', better: 'lower' },
      { key: 'p50At50Ms', title: 'p50 ms at 50 %', better: 'lower' },
      { key: 'p99At50Ms', title: 'p99 ms at 50 %', better: 'lower' },
      { key: 'p50At80Ms', title: 'p50 ms at 80 %', better: 'lower' },
      { key: 'p99At80Ms', title: 'p99 ms at 80 %', better: 'lower' },
    ],
    full: { n: 50_000, inFlight: 100, seconds: 5 },
    smoke: { n: 1_000, inFlight: 100, seconds: 0.1 },
    smokeWith: 'timing',
    smokePeers: false,
    goals: [],
  },
  {
    name: 'punctuality',
    title: 'delayed tasks on an idle fleet: how late their handlers start',
    variants: ['popfleet', 'bullmq'],
    metrics: [P50, P99],
    full: { n: 300, everyMs: 40, workers: 2 },
    smoke: { n: 10, everyMs: 20, workers: 1 },
    smokeWith: 'timing',
    goals: [
      { metric: 'p50Ms', atMost: 2 },
      { metric: 'p99Ms', atMost: 10 },
      { metric: 'p50Ms', against: 'bullmq', atMost: 0.15 },
      { metric: 'p99Ms', against: 'bullmq', atMost: 0.15 },
    ],
  },
  {
    name: 'http-batch',
    title: 'POST /v1/tasks/batch with 1,000 tasks, one after the other',
    variants: ['popfleet', 'popfleet-library', 'hono'],
    metrics: [
      { ...PER_SECOND, title: 'tasks per second' },
      { ...CPU, title: `${CPU.title} a task` },
    ],
    full: { n: 200_000, batch: 1_000 },
    smoke: { n: 2_000, batch: 1_000 },
    smokeWith: 'http',
    goals: [],
  },
  {
    name: 'http-enqueue',
    title: 'POST /v1/tasks, 64 connections',
    variants: ['popfleet', 'hono'],
    metrics: [PER_SECOND, P50, P99, { ...CPU, title: `${CPU.title} a request` }],
    full: { seconds: 10, connections: 64 },
    smoke: { seconds: 1, connections: 4 },
    smokeWith: 'http',
    goals: [
      { metric: 'perSecond', against: 'hono', atLeast: 0.65 },
      { metric: 'cpuUs', against: 'hono', atMost: 1.5 },
    ],
  },
  {
    name: 'http-result',
    title: 'POST a task and wait for its result by long poll, 64 connections',
    variants: ['popfleet'],
    metrics: [
      P50,
      P99,
      { key: 'busyP50Ms', title: 'p50 ms, saturated', better: 'lower' },
      { key: 'busyPerSecond', title: 'per second, saturated', better: 'higher' },
    ],
    // Idle otherwise: each connection sends now and then. Saturated: each sends the next as soon as it has its result.
    full: { n: 3_000, connections: 64, perSecond: 200 },
    smoke: { n: 100, connections: 16, perSecond: 200 },
    goals: [{ metric: 'p50Ms', atMost: 4 }],
    latencyGoals: [{ metric: 'p50Ms', atMost: 6 }],
  },
  {
    name: 'bytes',
    title: 'memory of Redis for a queued task',
    variants: ['popfleet', 'bullmq', 'bee-queue', 'bare-redis'],
    metrics: [{ key: 'bytes', title: 'bytes', better: 'lower' }],
    full: { n: 100_000, batch: 1_000 },
    smoke: { n: 5_000, batch: 1_000 },
    smokeWith: 'sending',
    smokePeers: false,
    goals: [{ metric: 'bytes', against: 'bullmq', atMost: 1 }],
  },
  {
    name: 'backlog',
    title: 'cost of claiming and finishing a task with a large backlog',
    variants: ['popfleet'],
    metrics: [
      { key: 'shallowUs', title: 'µs of Redis a task, 1,000 waiting', better: 'lower' },
      { key: 'deepUs', title: 'µs of Redis a task, deep', better: 'lower' },
      { key: 'ratio', title: 'deep / shallow', better: 'lower' },
    ],
    full: { n: 20_000, shallow: 1_000, deep: 1_000_000, batch: 1_000, concurrency: 50 },
    smoke: { n: 3_000, shallow: 1_000, deep: 6_000, batch: 1_000, concurrency: 50 },
    goals: [{ metric: 'ratio', atMost: 1.1 }],
  },
  {
    name: 'worker-memory',
    title: 'resident memory of a worker, idle and busy',
    variants: ['popfleet', 'popfleet-threads', 'bullmq', 'bee-queue', 'bare-redis'],
    metrics: [
      { key: 'idleMb', title: 'MB idle', better: 'lower' },
      { key: 'busyMb', title: 'MB busy', better: 'lower' },
      { key: 'mostMb', title: 'MB at most', better: 'lower' },
    ],
    full: { n: 100_000, batch: 1_000, idleMs: 2_000 },
    smoke: { n: 1_000, batch: 1_000, idleMs: 20 },
    smokeWith: 'timing',
    smokePeers: false,
    goals: [],
  },
  {
    name: 'memory',
    title: 'memory of a worker over many tasks',
    variants: ['popfleet'],
    // One run of a million tasks says it; more rounds only cost time.
    maxRounds: 1,
    metrics: [
      { key: 'earlyMb', title: 'MB after a tenth', better: 'lower' },
      { key: 'endMb', title: 'MB at the end', better: 'lower' },
      { key: 'ratio', title: 'end / tenth', better: 'lower' },
    ],
    full: { n: 1_000_000, batch: 1_000, concurrency: 50 },
    smoke: { n: 3_000, batch: 1_000, concurrency: 50 },
    goals: [{ metric: 'ratio', atMost: 1.1 }],
  },
];

/** In the order of the tables. */
export const VARIANTS = [
  'popfleet',
  'popfleet-threads',
  'popfleet-library',
  'bullmq',
  'bee-queue',
  'bunqueue',
  'graphile-worker',
  'sidekiq',
  'celery',
  'bare-redis',
  'redis-benchmark',
  'piscina',
  'hono',
];
