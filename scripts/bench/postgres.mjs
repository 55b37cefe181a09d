// A private PostgreSQL in a temporary folder, made when first asked for and removed at the end.

import { chownSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { eventually } from './completions.mjs';
import { isOnPath } from '../on-path.mjs';
import { end, freePort, output, removeFolder, start, temporaryFolder } from './processes.mjs';

const DEBIAN = '/usr/lib/postgresql';
const USER = 'bench';

/** The folder of `initdb` and `postgres`; Debian keeps them off the PATH. */
function programs() {
  if (isOnPath('initdb') && isOnPath('postgres')) return '';
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).sort((a, b) => Number(b) - Number(a)) : [];
  const folder = versions
    .map((version) => join(DEBIAN, version, 'bin'))
    .find((bin) => existsSync(join(bin, 'initdb')));
  return folder && `${folder}/`;
}

/** It refuses to run as root. @returns what `spawn` takes to run it as another user, or undefined without one */
function otherUser() {
  if (process.getuid?.() !== 0) return {};
  for (const name of ['postgres', 'nobody']) {
    try {
      return { uid: Number(output('id', ['-u', name])), gid: Number(output('id', ['-g', name])) };
    } catch {
      // There is no such user here.
    }
  }
  return undefined;
}

export function missingPostgres() {
  if (programs() === undefined) return 'install PostgreSQL (apt-get install postgresql)';
  if (!otherUser()) return 'PostgreSQL needs a user other than root';
  return undefined;
}

/**
 * As safe as the Redis beside it, and no safer: nothing is forced to the disk without the append-only file, and within
 * the same second with it.
 */
const SETTINGS = {
  volatile: { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' },
  durable: { fsync: 'on', synchronous_commit: 'off' },
};

export function postgresService({ durable }) {
  let running;
  let databases = 0;

  async function launch() {
    const dir = temporaryFolder();
    const user = otherUser();
    const port = await freePort();
    if (user.uid !== undefined) chownSync(dir, user.uid, user.gid);
    const data = join(dir, 'data');
    const initdb = ['-D', data, '-U', USER, '-A', 'trust', '--no-sync', '-E', 'UTF8'];
    output(`${programs()}initdb`, initdb, { cwd: dir, ...user });
    const settings = {
      port: String(port),
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      shared_buffers: '512MB',
      jit: 'off',
      ...SETTINGS[durable ? 'durable' : 'volatile'],
    };
    const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const child = start(
      `${programs()}postgres`,
      ['-D', data, ...flags],
      {},
      { cwd: dir, stdio: 'ignore', ...user },
    );
    const query = async (sql) => {
      const client = new pg.Client({ host: '127.0.0.1', port, user: USER, database: 'postgres' });
      client.on('error', () => undefined);
      await client.connect();
      try {
        return await client.query(sql);
      } finally {
        await client.end();
      }
    };
    await eventually(
      'PostgreSQL answers',
      () =>
        query('select 1').then(
          () => true,
          () => false,
        ),
      30_000,
    );
    return { dir, port, child, query };
  }

  return {
    async started() {
      running ??= await launch();
      const { port, query } = running;
      return {
        /** Where to connect; nothing of an earlier measurement is in it. */
        async freshDatabase() {
          if (databases > 0) await query(`drop database bench${databases} with (force)`);
          databases += 1;
          await query(`create database bench${databases}`);
          return { host: '127.0.0.1', port, user: USER, database: `bench${databases}` };
        },
      };
    },

    async stop() {
      if (!running) return;
      await end(running.child, 'SIGTERM');
      removeFolder(running.dir);
    },
  };
}
