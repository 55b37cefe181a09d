// The private Redis of a program that was given none: a child process on a unix socket, with an append-only file,
// that lives and stops with the program.

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { delay, type Service } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import { PopfleetError } from '../protocol/errors.ts';

export interface EmbeddedRedis extends Service {
  /** Path of the socket, which is also its URL. */
  readonly socket: string;
}

type RedisProcess = ChildProcessByStdio<null, Readable, Readable>;

/** Valkey speaks the same protocol and knows the same options. */
const PROGRAMS = ['redis-server', 'valkey-server'] as const;
/** `sun_path` of unix(7) has 108 bytes, one of them the end mark. */
const LONGEST_SOCKET_PATH = 107;
const START_WITHIN_MS = 10_000;
const PROBE_EVERY_MS = 20;
const RESTART_AFTER_MS = 1_000;
const PING_WITHIN_MS = 1_000;
const OWNER_STARTS_WITHIN_MS = 2_000;
/** Far longer than the few steps between looking for an owner and writing oneself down as one. */
const CLAIM_SETTLES_MS = 100;

/** Where the embedded Redis of a data folder listens; folders with long paths get a socket in the temporary folder. */
export function socketPath(dataDir: string): string {
  const near = join(resolve(dataDir), 'redis.sock');
  if (Buffer.byteLength(near) <= LONGEST_SOCKET_PATH) return near;
  const digest = createHash('sha256').update(near).digest('hex').slice(0, 16);
  return join(tmpdir(), `popfleet-${digest}.sock`);
}

/** True when somebody listens on the socket; a file that a killed process left behind does not count. */
export function isListening(socket: string): Promise<boolean> {
  return new Promise((done) => {
    const probe = createConnection(socket);
    const end = (answer: boolean) => (): void => {
      probe.destroy();
      done(answer);
    };
    probe.once('connect', end(true)).once('error', end(false));
  });
}

/** What a Redis answers to `PING`; empty when none does. */
function ping(socket: string): Promise<string> {
  return new Promise((done) => {
    const probe = createConnection(socket, () => probe.write('PING\r\n'));
    const end = (answer = '') => {
      probe.destroy();
      done(answer);
    };
    probe.once('data', (answer) => end(answer.toString()));
    probe
      .setTimeout(PING_WITHIN_MS, end)
      .once('error', () => end())
      .once('close', () => end());
  });
}

export function createEmbeddedRedis(dataDir: string, log: Log): EmbeddedRedis {
  const folder = resolve(dataDir);
  const socket = socketPath(dataDir);
  const ownerFile = join(folder, 'owner.pid');
  let child: RedisProcess | undefined;
  let stopping = false;

  /** @throws PopfleetError `bad-config` when another program runs its Redis in this folder */
  async function takeFolder(): Promise<void> {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const owner = readOwner(ownerFile);
    if (owner !== undefined && owner !== process.pid && (await isRunningHere(owner))) throw taken(owner);
    if (await isListening(socket)) await endOrphan();
    rmSync(socket, { force: true });
    writeFileSync(ownerFile, `${process.pid}\n`);
    // Two programs may start in the same moment; two Redis on one append-only file would ruin it. The last writer stays.
    await delay(CLAIM_SETTLES_MS);
    const claimant = readOwner(ownerFile);
    if (claimant !== process.pid) throw taken(claimant);
  }

  /** An owner that is starting listens a moment later; a number that another program has by now never does. */
  async function isRunningHere(owner: number): Promise<boolean> {
    for (let waited = 0; waited < OWNER_STARTS_WITHIN_MS && isAlive(owner); waited += PROBE_EVERY_MS) {
      if (await isListening(socket)) return true;
      await delay(PROBE_EVERY_MS);
    }
    return false;
  }

  function taken(owner: number | undefined): PopfleetError {
    return new PopfleetError(
      'bad-config',
      `process ${owner ?? 'unknown'} already runs popfleet with the data in ${folder}: stop it, or set DATA_DIR or REDIS_URL`,
    );
  }

  /** A killed program leaves its Redis behind. It is asked to write its file and go, so that ours can open it. */
  async function endOrphan(): Promise<void> {
    log.warn({ socket }, 'a Redis of an earlier run is still there: stopping it');
    const connection = createConnection(socket);
    connection.on('error', () => undefined);
    connection.end('SHUTDOWN\r\n');
    for (let waited = 0; waited < START_WITHIN_MS && (await isListening(socket)); waited += PROBE_EVERY_MS) {
      await delay(PROBE_EVERY_MS);
    }
    if (await isListening(socket)) {
      throw new PopfleetError(
        'bad-config',
        `a Redis of an earlier run does not leave ${folder}: end the redis-server that listens on ${socket}`,
      );
    }
  }

  async function launch(): Promise<void> {
    const started = await spawnFirst(PROGRAMS, redisArguments(folder, socket));
    child = started;
    const said: string[] = [];
    for (const stream of [started.stdout, started.stderr]) {
      stream.on('data', (text: Buffer) => {
        said.push(text.toString());
        if (said.length > 20) said.shift();
      });
    }
    // Not `exit`: what it said last may arrive after that.
    const ended = new Promise<void>((done) => started.once('close', () => done()));
    ended.then(() => onEnd(said.join(''))).catch(() => undefined);
    await untilAnswering(ended, said);
  }

  /** It listens before it has read its file, and may find only then that it cannot: what counts is an answer. */
  async function untilAnswering(ended: Promise<void>, said: readonly string[]): Promise<void> {
    let over = false;
    void ended.then(() => {
      over = true;
    });
    for (let waited = 0; waited < START_WITHIN_MS && !over; ) {
      const answer = await ping(socket);
      if (answer.startsWith('+PONG')) return;
      // A large file may take as long as it needs.
      if (!answer.startsWith('-LOADING')) waited += PROBE_EVERY_MS;
      await delay(PROBE_EVERY_MS);
    }
    throw new PopfleetError(
      'bad-config',
      `the embedded Redis does not start in ${folder}; nothing there was deleted. It said:\n${said.join('').trim()}`,
    );
  }

  /** It runs until it is told to stop: an end of its own (a full disk, the OOM killer) is followed by a new start. */
  async function onEnd(said: string): Promise<void> {
    if (stopping) return;
    log.error(
      { said: said.trim().split('\n').slice(-5) },
      'the embedded Redis ended by itself: starting it again',
    );
    await delay(RESTART_AFTER_MS);
    if (!stopping)
      await launch().catch((error: unknown) => log.error({ err: error }, 'the embedded Redis stays away'));
  }

  return {
    socket,

    async start() {
      await takeFolder();
      await launch();
      log.info({ socket }, 'embedded Redis started');
    },

    async stop() {
      if (stopping) return;
      stopping = true;
      if (!child) return;
      const { exitCode, signalCode } = child;
      if (exitCode === null && signalCode === null) {
        const gone = new Promise((done) => child?.once('exit', done));
        child.kill('SIGTERM'); // Redis writes its append-only file and removes its socket.
        await gone;
      }
      rmSync(ownerFile, { force: true });
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

/** @throws PopfleetError `bad-config` that says what to install, when none of the programs is there */
async function spawnFirst(programs: readonly string[], args: readonly string[]): Promise<RedisProcess> {
  for (const program of programs) {
    // In a process group of its own: Ctrl-C at a terminal must not end it before its program is done with it.
    const child = spawn(program, args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    const spawned = await new Promise<boolean>((done) => {
      child.once('spawn', () => done(true)).once('error', () => done(false));
    });
    if (spawned) return child;
  }
  throw new PopfleetError(
    'bad-config',
    'no redis-server is installed: install Redis or Valkey with your package manager, or set REDIS_URL',
  );
}

function readOwner(file: string): number | undefined {
  try {
    return Number(readFileSync(file, 'utf8')) || undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
