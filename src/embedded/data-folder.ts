// The data folder of an embedded Redis: one program has it at a time, and only its user reads what is in it.

import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { delay } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import { PopfleetError } from '../protocol/errors.ts';
import { isListening, shutDown, socketPath } from './socket.ts';

export interface DataFolder {
  readonly path: string;
  /**
   * Makes the folder and takes it for this program.
   * @throws PopfleetError `bad-config` when another program has it, others could read it, or it cannot be a folder
   */
  take(): Promise<void>;
  /** Notes the process that watches Redis here: a later start waits for it. */
  noteWatcher(pid: number): void;
  /** Gives the folder up. */
  leave(): void;
}

const PROBE_EVERY_MS = 20;
const OWNER_STARTS_WITHIN_MS = 2_000;
/** Far longer than the few steps between looking for an owner and writing oneself down as one. */
const CLAIM_SETTLES_MS = 100;
const ORPHAN_LEAVES_WITHIN_MS = 10_000;
/** A watcher leaves right after its Redis; a number that another process has by now costs no more than this. */
const WATCHER_LEAVES_WITHIN_MS = 2_000;

/** What popfleet and its Redis put into a data folder. */
const OWN_NAMES = /^(?:owner\.pid|watcher\.pid|redis\.sock|appendonlydir|temp-.*|.*\.rdb)$/;
const OTHERS = 0o077;

export function createDataFolder(dataDir: string, log: Log): DataFolder {
  const path = resolve(dataDir);
  const socket = socketPath(dataDir);
  const ownerFile = join(path, 'owner.pid');
  const watcherFile = join(path, 'watcher.pid');

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
      `process ${owner ?? 'unknown'} already runs popfleet with the data in ${path}: stop it, or set DATA_DIR or REDIS_URL`,
    );
  }

  /**
   * The Redis of a program that was killed ends by itself, but may take a moment to write its file; one that lost its
   * watcher, or that an older release started, stays. Each is asked to go, so that ours can open the file.
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
    // It closes its socket before it removes the file of it: the file must not be ours by then.
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
      const owner = readPid(ownerFile);
      if (owner !== undefined && owner !== process.pid && (await isRunningHere(owner))) throw taken(owner);
      await endOrphan();
      inWords(path, () => {
        rmSync(socket, { force: true });
        rmSync(watcherFile, { force: true });
        writeFileSync(ownerFile, `${process.pid}\n`, { mode: 0o600 });
      });
      // Two programs may start in the same moment; two Redis on one append-only file would ruin it. The last writer stays.
      await delay(CLAIM_SETTLES_MS);
      const claimant = readPid(ownerFile);
      if (claimant !== process.pid) throw taken(claimant);
    },

    noteWatcher: (pid) => inWords(path, () => writeFileSync(watcherFile, `${pid}\n`, { mode: 0o600 })),

    leave() {
      if (readPid(ownerFile) !== process.pid) return;
      for (const file of [watcherFile, ownerFile]) rmSync(file, { force: true });
    },
  };
}

/**
 * Makes the folder, or takes the rights of others away from it and from what earlier releases have put there.
 * @throws PopfleetError `bad-config` when the folder has things of others in it, whose rights nobody may change
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

/** @throws PopfleetError `bad-config` that says in words what the file system refuses */
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

function readPid(file: string): number | undefined {
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
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
