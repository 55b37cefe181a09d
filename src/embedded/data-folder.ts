// The data folder of an embedded Redis: one program uses it at a time, and only its user can read it.

import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { delay } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import { PopfleetError } from '../protocol/errors.ts';
import { isListening, shutDown, socketPath } from './socket.ts';

export interface DataFolder {
  readonly path: string;
  /**
   * Makes the folder and locks it for this program.
   * @throws PopfleetError `bad-config` when another program uses it, other users could read it, or it cannot be made
   */
  take(): Promise<void>;
  /** Whether no other program has taken it meanwhile. */
  isOurs(): boolean;
  /** Records the process that watches Redis: a later start waits for its end. */
  noteWatcher(pid: number): void;
  /** Unlocks the folder. */
  leave(): void;
}

const PROBE_EVERY_MS = 20;
const OWNER_STARTS_WITHIN_MS = 2_000;
/** Milliseconds, far longer than the few steps between the check for an owner and writing the own process id. */
const CLAIM_SETTLES_MS = 100;
const ORPHAN_LEAVES_WITHIN_MS = 10_000;
/** A watcher ends right after its Redis. If another process has its id by now, the start waits this long in vain. */
const WATCHER_LEAVES_WITHIN_MS = 2_000;

/** Names that popfleet and its Redis use in a data folder. */
const OWN_NAMES = /^(?:owner\.pid|watcher\.pid|redis\.sock|appendonlydir|temp-.*|.*\.rdb)$/;
const OTHERS = 0o077;

export function createDataFolder(dataDir: string, log: Log): DataFolder {
  const path = resolve(dataDir);
  const socket = socketPath(dataDir);
  const ownerFile = join(path, 'owner.pid');
  const watcherFile = join(path, 'watcher.pid');
  // A process id alone says little: programs in two containers may have the same.
  const here = pidSpace();
  const claim = [process.pid, randomUUID(), here, hostname(), ''].join('\n');
  const isOurs = (): boolean => readText(ownerFile) === claim;

  /** That of a release before does not tell where its process id holds. */
  const isOfHere = ({ space = here }: Owner): boolean => space === here;

  /**
   * An owner that is starting listens a moment later; another program that has the process id by now never does. Whether one in another
   * container lives, its socket alone shows: it ends with the container.
   */
  async function isRunning(owner: Owner): Promise<boolean> {
    if (isOfHere(owner) && owner.pid === process.pid) return false;
    const mayLive = (): boolean => !isOfHere(owner) || isAlive(owner.pid);
    for (let waited = 0; waited < OWNER_STARTS_WITHIN_MS && mayLive(); waited += PROBE_EVERY_MS) {
      if (await isListening(socket)) return true;
      await delay(PROBE_EVERY_MS);
    }
    return false;
  }

  function taken(owner: Owner | undefined): PopfleetError {
    const place = owner && !isOfHere(owner) ? ` in another container (host name ${owner.host})` : '';
    return new PopfleetError(
      'bad-config',
      `process ${owner?.pid ?? 'unknown'}${place} already runs popfleet with the data in ${path}: stop it, or set DATA_DIR or REDIS_URL`,
    );
  }

  /**
   * Ends the Redis of an earlier run, so that the new one can open the file. After its program was killed it ends by itself,
   * but may take a moment to write its file; one without its watcher, or of an older release, goes on running.
   */
  async function endOrphan(): Promise<void> {
    if (await isListening(socket)) {
      log.warn({ socket }, 'a Redis of an earlier run is still there: stopping it');
      shutDown(socket);
    }
    for (let waited = 0; await isListening(socket); waited += PROBE_EVERY_MS) {
      if (waited >= ORPHAN_LEAVES_WITHIN_MS) {
        throw new PopfleetError(
          'bad-config',
          `a Redis of an earlier run does not leave ${path}: end the redis-server that listens on ${socket}`,
        );
      }
      await delay(PROBE_EVERY_MS);
    }
    // Redis closes its socket before it removes the socket's file, which must not be that of the new Redis by then.
    const watcher = readPid(watcherFile);
    if (watcher === undefined) return;
    for (let waited = 0; waited < WATCHER_LEAVES_WITHIN_MS && isAlive(watcher); waited += PROBE_EVERY_MS) {
      await delay(PROBE_EVERY_MS);
    }
  }

  return {
    path,

    async take() {
      inWords(path, () => makePrivate(path));
      const owner = readOwner(ownerFile);
      if (owner && (await isRunning(owner))) throw taken(owner);
      await endOrphan();
      inWords(path, () => {
        rmSync(socket, { force: true });
        rmSync(watcherFile, { force: true });
        writeFileSync(ownerFile, claim, { mode: 0o600 });
      });
      // Two programs may start at the same moment, and two Redis on one append-only file would ruin it: the last writer wins.
      await delay(CLAIM_SETTLES_MS);
      if (!isOurs()) throw taken(readOwner(ownerFile));
    },

    isOurs,

    noteWatcher: (pid) => inWords(path, () => writeFileSync(watcherFile, `${pid}\n`, { mode: 0o600 })),

    leave() {
      if (!isOurs()) return;
      for (const file of [watcherFile, ownerFile]) rmSync(file, { force: true });
    },
  };
}

/**
 * Makes the folder, or removes the rights of other users from it and from the files that earlier releases have put there.
 * @throws PopfleetError `bad-config` when other users can open the folder and it has files that are not popfleet's
 */
function makePrivate(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const names = readdirSync(path);
  if ((statSync(path).mode & OTHERS) !== 0) {
    const foreign = names.find((name) => !OWN_NAMES.test(name));
    if (foreign !== undefined) {
      throw new PopfleetError(
        'bad-config',
        `DATA_DIR: other users can open ${path}, which also has ${foreign} in it: name a folder of its own, or allow ` +
          'only its owner (chmod 700)',
      );
    }
    chmodSync(path, 0o700);
  }
  for (const name of names.filter((one) => OWN_NAMES.test(one))) {
    const file = join(path, name);
    const { mode } = lstatSync(file);
    if ((mode & OTHERS) !== 0 && !lstatSync(file).isSymbolicLink()) chmodSync(file, mode & ~OTHERS & 0o777);
  }
}

const FAULTS: Readonly<Record<string, string>> = {
  EACCES: 'this user may not write there',
  EPERM: 'it belongs to another user, who could read the tasks in it',
  EROFS: 'its file system is read-only',
  EEXIST: 'it is not a folder',
  ENOTDIR: 'a part of the path is a file',
  ENAMETOOLONG: 'its name is too long',
  ELOOP: 'its links lead back to themselves',
  ENOSPC: 'its disk is full',
  EDQUOT: 'the quota of this user is used up',
};

/** @throws PopfleetError `bad-config` that explains the error of the file system */
function inWords(path: string, step: () => void): void {
  try {
    step();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined || error instanceof PopfleetError) throw error;
    const reason = FAULTS[code] ?? `the system refuses it (${code})`;
    throw new PopfleetError('bad-config', `DATA_DIR: ${path} cannot hold the data: ${reason}`, {
      cause: error,
    });
  }
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function readPid(file: string): number | undefined {
  return readOwner(file)?.pid;
}

interface Owner {
  readonly pid: number;
  /** `pidSpace` of its program. */
  readonly space?: string | undefined;
  readonly host?: string | undefined;
}

function readOwner(file: string): Owner | undefined {
  const [first, , space, host] = readText(file)?.split('\n') ?? [];
  const pid = Number(first) || undefined;
  return pid === undefined ? undefined : { pid, space: space || undefined, host };
}

/** Where a process id means the same process: this start of this machine, and this container. Empty where the system does not say. */
function pidSpace(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return '';
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
