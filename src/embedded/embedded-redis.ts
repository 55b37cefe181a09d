// The private Redis of a program without `REDIS_URL`: a child process on a unix socket, with an append-only file, that starts
// and stops with the program.

import { delay, retryDelayMs, type Service } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import { PopfleetError } from '../protocol/errors.ts';
import { createDataFolder } from './data-folder.ts';
import { type RedisProcess, startRedisProcess } from './redis-process.ts';
import { ping, socketPath } from './socket.ts';

export interface EmbeddedRedis extends Service {
  /** Path of the socket, which is also its URL. */
  readonly socket: string;
}

const START_WITHIN_MS = 10_000;
const PROBE_EVERY_MS = 20;
const RESTART_FIRST_MS = 1_000;
const RESTART_CAP_MS = 10_000;
const LINES_LOGGED = 5;

export function createEmbeddedRedis(dataDir: string, log: Log): EmbeddedRedis {
  const folder = createDataFolder(dataDir, log);
  const socket = socketPath(dataDir);
  let redis: RedisProcess | undefined;
  let stopping = false;

  async function launch(): Promise<void> {
    if (stopping) return;
    const started = await startRedisProcess(redisArguments(folder.path, socket));
    redis = started;
    folder.noteWatcher(started.watcherPid);
    let isUp = false;
    void started.ended.then(() => (isUp ? restart(started) : undefined));
    await untilAnswering(started);
    isUp = true;
  }

  /** Waits for an answer: Redis listens before it has read its file, and may fail only then. */
  async function untilAnswering(started: RedisProcess): Promise<void> {
    let over = false;
    void started.ended.then(() => {
      over = true;
    });
    for (let waited = 0; waited < START_WITHIN_MS && !over; ) {
      const answer = await ping(socket);
      if (answer.startsWith('+PONG')) return;
      // Without a limit: Redis may take long to read a large file.
      if (!answer.startsWith('-LOADING')) waited += PROBE_EVERY_MS;
      await delay(PROBE_EVERY_MS);
    }
    if (stopping) return;
    await started.end();
    throw new PopfleetError(
      'bad-config',
      started.isMissing()
        ? 'no redis-server is installed: install Redis or Valkey with your package manager, or set REDIS_URL'
        : `the embedded Redis does not start in ${folder.path}; nothing there was deleted. It said:\n${started.said()}`,
    );
  }

  /** Starts Redis again when it ends by itself (a full disk, the OOM killer) before the program stops. */
  async function restart(ended: RedisProcess): Promise<void> {
    if (stopping) return;
    const said = ended.said().split('\n').slice(-LINES_LOGGED);
    log.error({ said }, 'the embedded Redis ended by itself: starting it again');
    for (let attempt = 1; !stopping; attempt += 1) {
      await delay(retryDelayMs(attempt, RESTART_FIRST_MS, RESTART_CAP_MS));
      // Two Redis on one append-only file would ruin it.
      if (!stopping && !folder.isOurs()) {
        log.fatal(
          { folder: folder.path },
          'another program has taken the data: this one has no Redis any more, end it',
        );
        return;
      }
      try {
        await launch();
        return;
      } catch (error) {
        log.error({ err: error }, 'the embedded Redis stays away, trying again');
      }
    }
  }

  return {
    socket,

    async start() {
      await folder.take();
      await launch();
      log.info({ socket }, 'embedded Redis started');
    },

    async stop() {
      if (stopping) return;
      stopping = true;
      await redis?.end();
      folder.leave();
    },
  };
}

function redisArguments(folder: string, socket: string): string[] {
  const settings = {
    port: '0',
    unixsocket: socket,
    unixsocketperm: '700',
    dir: folder,
    appendonly: 'yes',
    appendfsync: 'everysec',
    save: '',
    'maxmemory-policy': 'noeviction',
    daemonize: 'no',
  };
  return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
}
