// Redis over TLS, with an authority of one's own and certificates of clients.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { openPopfleet } from '../../src/index.ts';
import { startCluster } from '../support/cluster.ts';
import { queuesOf } from '../support/cluster-fleet.ts';
import { runCommand } from '../support/command-line.ts';
import { faultsOf } from '../support/config-faults.ts';
import { documentedRules } from '../support/documented-user.ts';
import { eventually } from '../support/eventually.ts';
import { reasonsOf, redisCheck } from '../support/health.ts';
import { post } from '../support/http.ts';
import { JOURNAL_TASKS, openQueueFacts } from '../support/queue-facts.ts';
import { freePort } from '../support/redis.ts';
import { openStage } from '../support/stage.ts';

const LONG = { timeout: 180_000 };
const file = (name: string): string => fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url));
const FILES = {
  REDIS_TLS_CA: file('ca.pem'),
  REDIS_TLS_CERT: file('client.pem'),
  REDIS_TLS_KEY: file('client.key'),
};

test('a Redis that asks for certificates: roles, library and doctor show theirs', LONG, async (context) => {
  const stage = openStage(context);
  const port = await freePort();
  const redis = await stage.redis({
    'tls-port': String(port),
    'tls-ca-cert-file': file('ca.pem'),
    'tls-cert-file': file('redis.pem'),
    'tls-key-file': file('redis.key'),
    'tls-auth-clients': 'yes',
  });
  const url = `rediss://127.0.0.1:${port}`;
  const env = { ...JOURNAL_TASKS, ...FILES, REDIS_URL: url };
  const [server] = await Promise.all([stage.role('server', env), stage.role('worker', env)]);
  const facts = openQueueFacts(redis);
  await facts.untilSucceeded(await facts.send(server.url(), 3, 0));

  const [ca, cert, key] = Object.values(FILES).map((path) => readFileSync(path, 'utf8')) as [
    string,
    string,
    string,
  ];
  const popfleet = await openPopfleet({
    redisUrl: url,
    redisTls: { ca, cert, key },
    tasks: [],
    logLevel: 'silent',
  });
  expect(await popfleet.get('0194f3a8-0000-7000-8000-000000000000')).toBeUndefined();
  popfleet.close();
  const { stdout } = await runCommand(['doctor', '--redis-url', url], {
    env: { ...FILES, POPFLEET_URL: server.url() },
  });
  expect(stdout).toContain('it evicts nothing');

  // Without them nothing works, and the log says why; the certificate of the server is known to no authority of the system.
  const lonely = stage.spawn('server', { REDIS_URL: url });
  await eventually(() => lonely.url().startsWith('http'));
  await eventually(() => reasonsOf(lonely).some((reason) => /certificate/.test(String(reason))));
  expect(await redisCheck(lonely)).toEqual({ status: 503, detail: 'unreachable' });
});

test(
  'a Redis Cluster over TLS: roles and doctor are its documented user, on every node',
  LONG,
  async (context) => {
    const stage = openStage(context);
    const tls = {
      'tls-ca-cert-file': file('ca.pem'),
      'tls-cert-file': file('redis.pem'),
      'tls-key-file': file('redis.key'),
    };
    const cluster = await startCluster(3, {
      redis: { ...tls, 'tls-cluster': 'yes', 'tls-auth-clients': 'yes' },
    });
    stage.atEnd(cluster.stop);
    const password = 'p@ss:w/rd?#%';
    for (const { client } of cluster.nodes) {
      await client.call('ACL', 'SETUSER', 'popfleet', 'on', `>${password}`, ...documentedRules());
      // Nobody else is let in: whatever would connect without the user would fail.
      await client.call('ACL', 'SETUSER', 'default', 'resetpass', '>other');
    }
    const queues = await queuesOf(cluster);
    const url = cluster.url.replace('//', `//popfleet:${encodeURIComponent(password)}@`);
    const env = { ...FILES, REDIS_URL: url, QUEUES: queues.join(), CONCURRENCY: '3' };
    const [server] = await Promise.all([stage.here('server', env), stage.here('worker', env)]);
    for (const queue of queues) {
      const task = { type: 'add', queue, input: { one: 1, two: 2 } };
      const { status, body } = await post(`${server.url()}/v1/tasks?wait=20`, task);
      expect([status, body['state'], body['result']]).toEqual([200, 'succeeded', 3]);
    }
    expect(await redisCheck(server)).toEqual({ status: 200, detail: undefined });
    const { stdout } = await runCommand(['doctor', '--redis-url', url], {
      env: { ...FILES, POPFLEET_URL: server.url() },
    });
    expect(stdout).toContain('its user may run every command');
  },
);

test('files that are not there, hold something else, or are of no use, are named', () => {
  const url = { REDIS_URL: 'rediss://host' };
  expect(faultsOf({ ...url, REDIS_TLS_CA: '/nowhere.pem' })).toEqual([
    'REDIS_TLS_CA: cannot be read (ENOENT)',
  ]);
  expect(faultsOf({ ...url, REDIS_TLS_CA: FILES.REDIS_TLS_KEY })).toEqual([
    'REDIS_TLS_CA: must name a PEM file with a certificate',
  ]);
  expect(faultsOf({ ...url, REDIS_TLS_CERT: FILES.REDIS_TLS_CERT })).toEqual([
    'REDIS_TLS_CERT: is of use only together with REDIS_TLS_KEY: set both, or neither',
  ]);
  expect(faultsOf({ ...FILES, REDIS_URL: 'redis://host' })).toEqual([
    'REDIS_URL: must begin with rediss://, rediss+sentinel:// or rediss+cluster:// where REDIS_TLS_CA, REDIS_TLS_CERT or REDIS_TLS_KEY is set',
  ]);
});
