// REDIS_URL leads to a Redis that popfleet cannot use as it is: the program says which part is wrong, and harms nothing.

import { expect, test } from 'vitest';
import { documentedRules } from '../support/documented-user.ts';
import { eventually } from '../support/eventually.ts';
import type { RoleProcess } from '../support/fleet.ts';
import { reasonsOf, redisCheck } from '../support/health.ts';
import { call, post } from '../support/http.ts';
import { freePort, type TestRedis } from '../support/redis.ts';
import { openSse } from '../support/sse.ts';
import { openStage } from '../support/stage.ts';

const EXIT_CONFIG = 78;
const LONG = { timeout: 180_000 };

/** `redis://user:password@…` of a Redis. */
function urlAs(redis: TestRedis, user: string, password: string): string {
  return redis.url.replace('//', `//${user}:${password}@`);
}

function allText(role: RoleProcess): string {
  return role.errors() + JSON.stringify(role.log());
}

test(
  'case 8: the log says why Redis is away, and says it again when the cause is another one',
  LONG,
  async (context) => {
    const stage = openStage(context);
    const redis = await stage.redis();
    const setUser = (...rules: string[]): Promise<unknown> =>
      redis.client.call('ACL', 'SETUSER', 'app', ...rules);
    const dropAll = (): Promise<unknown> => redis.client.call('CLIENT', 'KILL', 'TYPE', 'normal');
    await setUser('on', '>old-secret', '~*', '&*', '+@all');
    const server = await stage.role('server', { REDIS_URL: `${urlAs(redis, 'app', 'old-secret')}/1` });

    await setUser('resetpass', '>new-secret');
    await dropAll();
    await eventually(() => reasonsOf(server).some((reason) => reason.startsWith('WRONGPASS')));
    expect(await redisCheck(server)).toEqual({ status: 503, detail: 'not authenticated' });

    await setUser('>old-secret', '-select');
    await eventually(() => reasonsOf(server).some((reason) => reason.startsWith('NOPERM')));
    expect(await redisCheck(server)).toEqual({ status: 503, detail: 'not permitted' });

    await redis.client.config('SET', 'maxclients', '1');
    await setUser('+select');
    await eventually(() => reasonsOf(server).some((reason) => reason.includes('max number of clients')));
    expect(await redisCheck(server)).toEqual({ status: 503, detail: 'too many clients' });

    await redis.client.config('SET', 'maxclients', '100');
    await eventually(async () => {
      expect(await redisCheck(server)).toEqual({ status: 200, detail: undefined });
      return true;
    });
    // Each cause once, however often it was tried meanwhile.
    expect(reasonsOf(server)).toHaveLength(new Set(reasonsOf(server)).size);
    expect(server.log().filter(({ msg }) => msg === 'Redis is online again')).toHaveLength(1);
    expect(allText(server)).not.toContain('secret');
  },
);

test('case 8: a server that has no password for a Redis that asks for one', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  await redis.client.config('SET', 'requirepass', 'secret');
  const server = stage.spawn('server', { REDIS_URL: redis.url });
  await eventually(() => reasonsOf(server).length > 0);
  expect(reasonsOf(server)).toEqual([expect.stringContaining('NOAUTH')]);
  expect(await redisCheck(server)).toEqual({ status: 503, detail: 'not authenticated' });
});

test.for(['server', 'worker', 'all'])(
  'case 9: %s with a database that is not there ends',
  async (role, context) => {
    const stage = openStage(context);
    const redis = await stage.redis();
    const started = stage.spawn(role, { REDIS_URL: `${redis.url}/99` });
    expect(await started.exited).toBe(EXIT_CONFIG);
    expect(started.errors()).toBe('REDIS_URL: there is no such database (ERR DB index is out of range)\n');
    expect(await redis.client.dbsize()).toBe(0);
  },
);

test('case 9: a database that turns out not to be there while the program runs: nothing is written to another one', async (context) => {
  const stage = openStage(context);
  const proxy = await stage.proxy({ port: await freePort() });
  const server = await stage.here('server', { REDIS_URL: `${proxy.url}/3` }, false);
  const worker = stage.spawn('worker', { REDIS_URL: `${proxy.url}/3`, HEARTBEAT_MS: '100' });
  await eventually(() => reasonsOf(worker).length > 0);

  const redis = await stage.redis({ databases: '2' });
  proxy.leadTo(redis.port);
  for (const role of [server, worker]) {
    await eventually(() => reasonsOf(role).some((reason) => reason.includes('DB index is out of range')));
  }
  expect(await redisCheck(server)).toEqual({ status: 503, detail: 'no such database' });
  expect((await post(`${server.url()}/add`, { one: 1, two: 2 })).status).toBe(503);
  expect(await redis.client.dbsize()).toBe(0);
});

test('case 10: an address that cannot be read ends the start, and no part of its password is shown', async (context) => {
  const stage = openStage(context);
  const addresses = [
    'redis://127.0.0.1:1/abc',
    'redis://127.0.0.1:1?connectTimeout=abc',
    'redis://127.0.0.1:1?keyPrefix=x',
    'redis://:front@hunter2@127.0.0.1:1',
    'redis://user:front/hunter2@127.0.0.1:1',
  ];
  const roles = addresses.map((url) => stage.spawn('worker', { REDIS_URL: url }));
  for (const role of roles) {
    expect(await role.exited).toBe(EXIT_CONFIG);
    expect(role.errors()).toMatch(/^REDIS_URL: [^\n]+\n$/);
    expect(allText(role)).not.toMatch(/front|hunter2/);
  }
});

test('case 10: a password of special characters works, and stands in no log when Redis is away', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const password = 'p@:/?#[]%& +"\'{}é';
  await redis.client.call('ACL', 'SETUSER', 'user@home', 'on', `>${password}`, '~*', '&*', '+@all');
  const url = urlAs(redis, encodeURIComponent('user@home'), encodeURIComponent(password));
  const server = await stage.role('server', { REDIS_URL: url, LOG_LEVEL: 'trace' });
  expect((await post(`${server.url()}/add`, { one: 1, two: 2 })).status).toBe(202);

  await redis.signal('SIGKILL');
  await eventually(() => reasonsOf(server).some((reason) => reason.includes('ECONNREFUSED')));
  expect(allText(server)).not.toContain('p@');
  expect(allText(server)).not.toContain(encodeURIComponent('p@'));
});

test.for(['server', 'worker', 'all'])(
  'case 11: %s on a node of a Redis Cluster ends',
  async (role, context) => {
    const stage = openStage(context);
    const redis = await stage.redis({ 'cluster-enabled': 'yes' });
    // With a database it is the SELECT that fails.
    for (const url of [redis.url, `${redis.url}/1`]) {
      const started = stage.spawn(role, { REDIS_URL: url });
      expect(await started.exited).toBe(EXIT_CONFIG);
      expect(started.errors()).toMatch(/^REDIS_URL: .*cluster/);
    }
  },
);

test('case 11: a Redis that is no node of a cluster, and was named as one, ends the start', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const started = stage.spawn('worker', { REDIS_URL: redis.url.replace('redis:', 'redis+cluster:') });
  expect(await started.exited).toBe(EXIT_CONFIG);
  expect(started.errors()).toMatch(/^REDIS_URL: this Redis is not part of a Redis Cluster: use redis:\/\//);
});

test('case 11: a node of a cluster that is found only while the program runs', async (context) => {
  const stage = openStage(context);
  const proxy = await stage.proxy({ port: await freePort() });
  const server = await stage.here('server', { REDIS_URL: proxy.url }, false);
  const redis = await stage.redis({ 'cluster-enabled': 'yes' });
  proxy.leadTo(redis.port);
  await eventually(() =>
    reasonsOf(server).some((reason) => reason.includes('this is a Redis Cluster: use redis+cluster://')),
  );
  expect(await redisCheck(server)).toEqual({ status: 503, detail: 'cluster node' });
});

test('case 12: a fleet runs as a user with the documented permissions', LONG, async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  await redis.client.call('ACL', 'SETUSER', 'app', 'on', '>pw', ...documentedRules());
  const env = {
    REDIS_URL: urlAs(redis, 'app', 'pw'),
    HEARTBEAT_MS: '500',
    QUEUE_LIMIT: '100',
    QUEUE_LIMIT_BYTES: '100000',
  };
  const [server, worker] = await Promise.all([stage.here('server', env), stage.role('worker', env)]);
  const url = server.url();
  const send = (more: object): ReturnType<typeof post> =>
    post(`${url}/v1/tasks`, { type: 'add', input: { one: 1, two: 2 }, ...more }, { prefer: 'wait=10' });

  expect((await send({})).body['state']).toBe('succeeded');
  expect((await send({ delayMs: 100, priority: 'high' })).body['state']).toBe('succeeded');
  const keyed = { 'idempotency-key': '"one"', 'content-type': 'application/json' };
  for (const status of [202, 200]) {
    const again = await call(`${url}/add`, { method: 'POST', headers: keyed, body: '{"one":1,"two":2}' });
    expect([202, status]).toContain(again.status);
  }
  const events = await openSse(`${url}/v1/events?topics=queue:default`);
  const { body: task } = await send({});
  await events.until('state');
  events.cut();
  const own = await openSse(`${url}/v1/tasks/${String(task['id'])}/events`);
  await own.over;

  const schedule = { type: 'add', input: { one: 1, two: 2 }, everyMs: 1_000 };
  const put = await call(`${url}/v1/schedules/often`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(schedule),
  });
  expect(put.status).toBe(201);
  await eventually(async () => {
    const { body } = await call(`${url}/v1/schedules/often`);
    return body['last'] !== undefined;
  });
  const gets = [
    '/v1/queues/default',
    '/v1/tasks?state=succeeded',
    '/v1/workers',
    '/v1/schedules',
    `/v1/tasks/${String(task['id'])}`,
  ];
  for (const path of gets) expect([path, (await call(`${url}${path}`)).status]).toEqual([path, 200]);
  for (const move of ['pause', 'resume']) {
    expect((await post(`${url}/v1/queues/default/${move}`, {})).status).toBeLessThan(300);
  }
  expect((await call(`${url}/v1/tasks/${String(task['id'])}`, { method: 'DELETE' })).status).toBeLessThan(
    300,
  );
  const loud = [...server.log(), ...worker.log()].filter(({ level }) => Number(level) > 30);
  expect(loud).toEqual([]);
  worker.signal('SIGTERM');
  expect(await worker.exited).toBe(0);
});

test('case 12: a user who may not run a command: /readyz and the log name it', LONG, async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const setUser = (...rules: string[]): Promise<unknown> =>
    redis.client.call('ACL', 'SETUSER', 'app', ...rules);
  await setUser('on', '>pw', '~*', '&*', '+@all', '-hset');
  const env = { REDIS_URL: urlAs(redis, 'app', 'pw') };
  const server = await stage.here('server', env, false);
  const worker = stage.spawn('worker', env);

  for (const command of ['hset', 'evalsha', 'xadd', 'publish', 'memory|usage', 'time', 'lpos']) {
    await setUser(`-${command}`);
    await redis.client.call('CLIENT', 'KILL', 'USER', 'app');
    const name = command.replace('|', ' ');
    await eventually(async () => {
      expect(await redisCheck(server)).toEqual({ status: 503, detail: `not permitted: ${name}` });
      for (const role of [server, worker]) expect(refusedOf(role)).toContain(name);
      return true;
    });
    await setUser(`+${command}`);
    await eventually(async () => (await redisCheck(server)).status === 200);
  }

  // Taken away while the connection stands: the request that misses it has it found.
  await setUser('-hset');
  const { status, body } = await post(`${server.url()}/add`, { one: 1, two: 2 });
  expect([status, body['code']]).toEqual([503, 'redis-unavailable']);
  await eventually(async () => {
    expect(await redisCheck(server)).toEqual({ status: 503, detail: 'not permitted: hset' });
    return true;
  });
});

/** Commands that the log says to be refused. */
function refusedOf(role: Pick<RoleProcess, 'log'>): unknown[] {
  const lines = role.log().filter(({ msg }) => String(msg).startsWith('this user of Redis may not'));
  return lines.flatMap(({ commands }) => commands);
}
