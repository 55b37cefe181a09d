// A Redis of the measurement's own, in a folder of its own, so that nothing of an earlier one is in it.

import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { isOnPath } from '../on-path.mjs';
import { end, freePort, removeFolder, start, temporaryFolder } from './processes.mjs';

/** Over TCP, because every client speaks that, and because the latency is put in front of a port. */
export async function startRedis({ aof }) {
  const program = isOnPath('redis-server') ? 'redis-server' : 'valkey-server';
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
  const child = start(program, args, {}, { stdio: 'ignore' });
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
    return /^(?:valkey|redis)_version:(.+?)\r?$/m.exec(info)?.[1] ?? 'unknown';
  } finally {
    client.disconnect();
    await sleep(1);
  }
}
