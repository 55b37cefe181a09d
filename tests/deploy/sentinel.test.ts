// What deploy/compose.sentinel.yaml keeps over `down` and `up`: its commands as they stand, on addresses of this machine instead of in
// containers.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { BARE_ENV } from '../support/bare-env.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/redis.ts';

interface Service {
  readonly command: readonly string[];
  readonly volumes?: readonly string[];
}

const file = new URL('../../deploy/compose.sentinel.yaml', import.meta.url);
const compose = parse(readFileSync(file, 'utf8'), { merge: true }) as {
  readonly services: Readonly<Record<string, Service>>;
};
/** Name of a service → its address. All of 127.0.0.0/8 is this machine, on Linux. */
const ADDRESSES: Readonly<Record<string, string>> = {
  redis1: '127.0.0.2',
  redis2: '127.0.0.3',
  sentinel1: '127.0.0.4',
  sentinel2: '127.0.0.5',
  sentinel3: '127.0.0.6',
};
const SENTINELS = Object.keys(ADDRESSES).filter((name) => name.startsWith('sentinel'));

/** A service of the file with its containers, one after the other. */
function openService(name: string, port: number, folder: string) {
  const host = ADDRESSES[name] as string;
  const client = new Redis({ host, port, retryStrategy: () => 50, disableClientInfo: true });
  client.on('error', () => undefined);
  const { command, volumes } = compose.services[name] as Service;
  let containers = 0;
  let child: ChildProcess | undefined;
  return {
    client,

    up(): void {
      containers += 1;
      // What is on no volume goes with its container.
      const volume = volumes?.find((one) => one.endsWith(':/data'))?.replace(/:.*/, '');
      const data = join(folder, volume ?? `${name}-${containers}`);
      mkdirSync(data, { recursive: true });
      const words = command.map((word) =>
        word
          .replaceAll('$$', '$')
          .replaceAll(/\b(?:redis|sentinel)\d\b/g, (one) => ADDRESSES[one] as string)
          .replaceAll('6379', String(port))
          .replace(/(down-after-milliseconds|failover-timeout) tasks (\d+)000$/gm, '$1 tasks $200')
          .replace('<<END\n', `<<END\nbind ${host}\nport ${port}\n`)
          .replaceAll('/data', data),
      );
      const [program = '', ...args] = words;
      child = spawn(program, args, { cwd: data, stdio: 'ignore', env: { ...BARE_ENV, HOSTNAME: host } });
    },

    async down(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
      if (!child || child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill(signal);
      await gone;
    },
  };
}

test.skipIf(process.platform !== 'linux')(
  'after a fail-over, `down` and `up` leave the primary of then with all it has, although the first one is back',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'popfleet-compose-'));
    const port = await freePort();
    const all = Object.keys(ADDRESSES).map((name) => openService(name, port, folder));
    const [redis1, redis2, ...sentinels] = all as [(typeof all)[0], (typeof all)[0], ...typeof all];
    onTestFinished(async () => {
      for (const { client } of all) client.disconnect();
      for (const one of all) await one.down('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    });
    const untilAllSay = (name: string): Promise<unknown> =>
      eventually(async () => {
        for (const { client } of sentinels) {
          const [host] = (await client.call('SENTINEL', 'get-master-addr-by-name', 'tasks')) as string[];
          expect(host).toBe(ADDRESSES[name]);
        }
        return true;
      });

    for (const one of all) one.up();
    for (const { client } of sentinels) {
      const whole = `slaves=1,sentinels=${SENTINELS.length}`;
      await eventually(async () => (await client.info('sentinel')).includes(whole));
    }
    await untilAllSay('redis1');
    await redis1.down('SIGKILL');
    await untilAllSay('redis2');
    expect(await redis2.client.set('key', 'newer')).toBe('OK');

    for (const one of all.toReversed()) await one.down();
    for (const one of all) one.up();
    await untilAllSay('redis2');
    expect(await redis2.client.info('replication')).toContain('role:master');
    expect(await redis2.client.get('key')).toBe('newer');
  },
);
