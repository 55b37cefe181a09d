// The Redis behind this server, the server itself, and the limits it was started with.

import { hostname } from 'node:os';
import * as v from 'valibot';
import { PopfleetError } from '../../protocol/errors.ts';
import { toTime } from '../../protocol/time-text.ts';
import { VERSION } from '../../version.ts';
import { named } from '../../views/component.ts';
import { answer } from '../answer.ts';
import type { Deps } from '../deps.ts';
import { type Operation, type Route, route } from '../operation.ts';

const SystemSchema = v.object({
  server: v.pipe(
    v.object({
      version: v.string(),
      node: v.string(),
      host: v.string(),
      pid: v.number(),
      startedAt: v.string(),
      memoryBytes: v.number(),
    }),
    v.description('the one that answers'),
  ),
  fault: v.exactOptional(v.pipe(v.string(), v.description('why it takes no tasks now, as `/readyz` says'))),
  redis: v.pipe(
    v.object({
      name: v.pipe(v.string(), v.description('`Redis` or `Valkey`')),
      version: v.string(),
      role: v.string(),
      uptimeSeconds: v.number(),
      maxmemoryPolicy: v.string(),
      usedMemoryBytes: v.number(),
      maxmemoryBytes: v.pipe(v.number(), v.description('0 = without limit')),
      appendOnly: v.boolean(),
      isSaved: v.pipe(v.boolean(), v.description('whether its latest writes to disk went well')),
      clients: v.number(),
      replicas: v.number(),
      commandsPerSecond: v.number(),
      latencyMs: v.pipe(v.number(), v.description('the median of five commands')),
      clockAheadMs: v.pipe(v.number(), v.description('how far its clock is ahead of that of the server')),
    }),
    v.description('texts are empty and numbers 0 when the server may not run `INFO`'),
  ),
  limits: v.pipe(
    v.record(v.string(), v.number()),
    v.description('settings of this server by their variables'),
  ),
});

/** Redis, the server and its limits, as callers see them. */
export type SystemView = v.InferOutput<typeof SystemSchema>;

const READ: Operation = {
  id: 'getSystem',
  tag: 'service',
  summary: 'Redis, this server and its limits',
  description: 'No addresses and no secrets. For keys that are for all queues.',
  scope: 'read',
  answers: { 200: { description: 'As it is now.', schema: named('System', SystemSchema) } },
};

/** `GET /v1/system`. */
export function systemRoutes({
  redisFacts,
  askReadiness,
  limits,
}: Pick<Deps, 'redisFacts' | 'askReadiness' | 'limits'>): readonly Route[] {
  const startedAt = toTime(Date.now() - Math.round(process.uptime() * 1_000));
  return [
    route('GET', '/v1/system', READ, async (c) => {
      if (c.get('caller').queues !== undefined) {
        throw new PopfleetError('forbidden', 'This is for keys that are for all queues.');
      }
      const [redis, { fault }] = await Promise.all([redisFacts(), askReadiness()]);
      const { version: node, pid } = process;
      return answer(c, 200, {
        server: {
          version: VERSION,
          node,
          host: hostname(),
          pid,
          startedAt,
          memoryBytes: process.memoryUsage.rss(),
        },
        ...(fault === undefined ? {} : { fault }),
        redis: { ...redis, latencyMs: Math.round(redis.latencyMs * 1_000) / 1_000 },
        limits,
      });
    }),
  ];
}
