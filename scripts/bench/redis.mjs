// A Redis of the measurement's own, in a folder of its own, so that nothing of an earlier one is in it.

import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { isOnPath } from '../on-path.mjs';
import { end, freePort, removeFolder, start, temporaryFolder } from './processes.mjs';

/** What `REDIS_SERVER` names, or what this machine has. */
export const REDIS_SERVER =
  process.env.REDIS_SERVER || (isOnPath('redis-server') ? 'redis-server' : 'valkey-server');

/** Over TCP, because every client speaks that, and because the latency is put in front of a port. */
export async function startRedis({ aof }) {
  const dir = temporaryFolder();
  const port = await freePort();
  const settings = {
    port: String(port),
    bind: '127.0.0.1',
    dir,
    save: '',
    appendonly: aof ? 'yes' : 'no',
    appendfsync: 'everysec',
    'maxmemory-policy': 'noeviction',
  };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  const child = start(REDIS_SERVER, args, {}, { stdio: 'ignore' });
  const version = await whenReady(port);
  return {
    port,
    dir,
    version,
    pid: child.pid,
    async stop() {
      await end(child);
      removeFolder(dir);
    },
  };
}

async function whenReady(port) {
  const client = new Redis(port, '127.0.0.1', { retryStrategy: () => 10, maxRetriesPerRequest: null });
  client.on('error', () => undefined);
  try {
    const info = await client.info('server');
    // Valkey also says which Redis it is like.
    const [, valkey] = /^valkey_version:(.+?)\r?$/m.exec(info) ?? [];
    if (valkey) return `${valkey} (Valkey)`;
    return /^redis_version:(.+?)\r?$/m.exec(info)?.[1] ?? 'unknown';
  } finally {
    client.disconnect();
    await sleep(1);
  }
}
