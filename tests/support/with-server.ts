// A server over a Redis of its own for all tests of a file.

import { afterAll, beforeAll } from 'vitest';
import type { Server, ServerSettings } from '../../src/server/server.ts';
import { eventually } from './eventually.ts';
import { createHandWorker, type HandWorker } from './hand-worker.ts';
import { call } from './http.ts';
import { startRedis, type TestRedis } from './redis.ts';
import { startServer } from './server.ts';

export interface WithServer {
  redis(): TestRedis;
  url(): string;
  /** Takes the tasks that the tests send. */
  worker(): HandWorker;
  /** Empties Redis, and says that queues are there: the server says so itself only now and then. */
  empty(...queues: readonly string[]): Promise<void>;
}

/** To be called at the top of a file. */
export function withServer(settings: Partial<ServerSettings> = {}): WithServer {
  let redis: TestRedis;
  let server: Server;
  let worker: HandWorker;

  beforeAll(async () => {
    redis = await startRedis();
    server = await startServer(redis.url, 65_536, settings);
    worker = createHandWorker(redis.url);
    await eventually(async () => (await call(`${server.url()}/readyz`)).status === 200);
  });
  afterAll(async () => {
    worker?.close();
    await server?.stop();
    await redis?.stop();
  });

  return {
    redis: () => redis,
    url: () => server.url(),
    worker: () => worker,
    async empty(...queues) {
      await redis.client.flushall();
      await redis.client.sadd('pf:queues', 'default', ...queues);
    },
  };
}
