// What a process says of itself, and the collectors of all its parts.

import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { Soon } from '../lifecycle.ts';
import { faultOfConnection, type openCommandConnection } from '../store/connection.ts';
import { watchScripts } from '../store/scripts.ts';
import { VERSION } from '../version.ts';
import { type Family, type Knows, mergeFamilies } from './family.ts';
import { createHistograms, type Histograms, REDIS_SECONDS } from './histogram.ts';

/** Families of a part as they are now. Never rejects: what cannot be had is left out. */
export type Collect = (knows: Knows) => Soon<readonly Family[]>;

export interface ProcessMetrics {
  /** How long calls of scripts took, in seconds, by the name of the script. */
  readonly scripts: Histograms;
  /** @param isUp whether a connection to Redis can be used */
  addRedis(isUp: () => boolean): void;
  add(collect: Collect): void;
  /** @param knows queues that the reader may see; without it all */
  collect(knows?: Knows): Promise<readonly Family[]>;
}

/** @param role of this process */
export function createProcessMetrics(role: string): ProcessMetrics {
  const scripts = createHistograms(
    'popfleet_redis_command_duration_seconds',
    'Time from sending a script to Redis until its reply',
    ['script'],
    REDIS_SECONDS,
  );
  const delay = createEventLoopDelay();
  const connections: (() => boolean)[] = [];
  const redisUp = (): Family => ({
    name: 'popfleet_redis_up',
    type: 'gauge',
    help: 'Whether the connections to Redis can be used',
    samples: [{ labels: [], value: Number(connections.every((isUp) => isUp())) }],
  });
  const collectors: Collect[] = [];
  return {
    scripts,
    addRedis: (isUp) => void connections.push(isUp),
    add: (collect) => void collectors.push(collect),
    async collect(knows = () => true) {
      const families: Family[] = [];
      for (const collect of collectors) families.push(...(await collect(knows)));
      // Last: whoever has asked Redis may have found that it is away.
      families.push(buildInfo(role), ...usage(), delay(), redisUp(), scripts.collect());
      return mergeFamilies(families);
    },
  };
}

function buildInfo(role: string): Family {
  const labels = [
    ['version', VERSION],
    ['role', role],
    ['node', process.version],
  ] as const;
  return {
    name: 'popfleet_build_info',
    type: 'gauge',
    help: 'What runs here, always 1',
    samples: [{ labels, value: 1 }],
  };
}

/** Under the names that all client libraries use. */
function usage(): Family[] {
  const { user, system } = process.cpuUsage();
  const one = (value: number): Family['samples'] => [{ labels: [], value }];
  return [
    {
      name: 'process_cpu_seconds',
      type: 'counter',
      help: 'Processor time of the process, threads included',
      samples: one((user + system) / 1e6),
    },
    {
      name: 'process_resident_memory_bytes',
      type: 'gauge',
      help: 'Memory of the process, threads included',
      samples: one(process.memoryUsage.rss()),
    },
    {
      name: 'process_start_time_seconds',
      type: 'gauge',
      help: 'When the process began, in seconds since 1970',
      samples: one(performance.timeOrigin / 1_000),
    },
  ];
}

/** Milliseconds between two looks at how late a timer is. */
const DELAY_EVERY_MS = 20;
/** Readers within this time share what was seen. */
const DELAY_FRESH_MS = 1_000;
const QUANTILES = ['0.5', '0.9', '0.99', '1.0'];

/** Measured from the first reading on, so that a process that nobody reads pays nothing. */
function createEventLoopDelay(): () => Family {
  let histogram: IntervalHistogram | undefined;
  let readAt = Number.NEGATIVE_INFINITY;
  let quantiles: Family['samples'] = [];
  let count = 0;
  let sum = 0;

  const toSeconds = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e9 - DELAY_EVERY_MS / 1_000);

  function read(): void {
    if (!histogram) {
      histogram = monitorEventLoopDelay({ resolution: DELAY_EVERY_MS });
      histogram.enable();
    }
    readAt = performance.now();
    if (histogram.count === 0) return;
    const seen = histogram;
    quantiles = QUANTILES.map((quantile) => ({
      labels: [['quantile', quantile]],
      value: toSeconds(seen.percentile(Number(quantile) * 100)),
    }));
    count += seen.count;
    sum += seen.count * toSeconds(seen.mean);
    seen.reset();
  }

  return () => {
    if (performance.now() - readAt > DELAY_FRESH_MS) read();
    return {
      name: 'popfleet_event_loop_delay_seconds',
      type: 'summary',
      help: 'How late timers of the main thread are; the quantiles are of the time since the reading before',
      samples: [
        ...quantiles,
        { suffix: '_sum', labels: [], value: sum },
        { suffix: '_count', labels: [], value: count },
      ],
    };
  };
}

type Client = ReturnType<typeof openCommandConnection>;

/** Adds a connection and the scripts that are run over it. */
export function measureConnection(metrics: ProcessMetrics, client: Client): void {
  metrics.addRedis(() => faultOfConnection(client) === undefined);
  watchScripts(client, (script, ms) => metrics.scripts.observe(ms / 1_000, script));
}
