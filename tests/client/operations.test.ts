// The calls of the client beside the operations of the document.

import { expect, test } from 'vitest';
import { call } from '../support/http.ts';
import { watchedClient } from '../support/watched-client.ts';
import { withServer } from '../support/with-server.ts';

const server = withServer();
const sum = { one: 1, two: 2 };

test('every request is an operation of the document', async () => {
  const { client, requests } = watchedClient(server.url());
  const { id } = await client.enqueue('add', sum, { queue: 'tour', delayMs: 60_000 });
  await client.check('add', sum);
  await client.explain(id);
  await client.log(id);
  await client.cancel(id);
  await client.remove(id);
  await client.queues.list();
  await client.queues.get('tour');
  await client.queues.pause('tour');
  await client.queues.resume('tour');
  await client.fleet.workers();
  await expect(client.fleet.worker('nobody')).rejects.toMatchObject({ code: 'not-found' });
  await client.fleet.types();
  await client.fleet.readiness();
  await client.fleet.caller();
  await client.schedules.put('tour', { type: 'add', input: sum, everyMs: 3_600_000 });
  await client.schedules.list();
  await client.schedules.get('tour');
  await client.schedules.pause('tour');
  await client.schedules.resume('tour');
  await client.schedules.remove('tour');
  const { paths } = (await call(`${server.url()}/openapi.json`)).body as {
    readonly paths: Readonly<Record<string, object>>;
  };
  const operations = Object.entries(paths).flatMap(([path, item]) =>
    Object.keys(item).map((method) => ({
      method: method.toUpperCase(),
      pattern: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`),
    })),
  );
  const strangers = requests.filter(
    ({ method, path }) => !operations.some((one) => one.method === method && one.pattern.test(path)),
  );
  expect(strangers).toEqual([]);
  expect(requests.length).toBeGreaterThanOrEqual(20);
});
