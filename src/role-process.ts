// A role in a process of its own, as `popfleet dev` and `popfleet fleet` start and replace them.

import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { within } from './lifecycle.ts';

const ENTRY = fileURLToPath(new URL('./role-entry.js', import.meta.url));

/** A process with much to do may take a while. */
const ANSWERS_WITHIN_MS = 2_000;

export interface RoleProcess {
  readonly pid: number;
  /** Resolves once the role is up, with the address of a server; or once it has ended without. */
  readonly up: Promise<Up>;
  /** Resolves with its exit code once it has ended; `null` when a signal has ended it. */
  readonly ended: Promise<number | null>;
  /** Asks it to end in order; the second time, half a second later or more, to give back at once what runs. */
  stop(): void;
  /** Ends it whatever it does. */
  kill(): void;
  /** Bytes of memory that it has (its resident set); `undefined` when it does not answer in time. Once it is up, one question at a time. */
  rssBytes(): Promise<number | undefined>;
  /** Whether it holds tasks, as far as it has told. */
  isBusy(): boolean;
}

export type Up = { readonly url: string | undefined } | { readonly exitCode: number | null };

/** What the role says: that it is up, its answer when it is asked for its memory, and whether it holds tasks, when that has changed. */
export interface Told {
  readonly up?: { readonly url: string | undefined };
  readonly rssBytes?: number;
  readonly isBusy?: boolean;
}

/** @param env variables of the role, with its name in `APP_TYPE` */
export function startRoleProcess(env: NodeJS.ProcessEnv): RoleProcess {
  const child = spawn(process.execPath, [...process.execArgv, ENTRY], {
    env,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const ended = new Promise<number | null>((resolve) => {
    child.once('exit', resolve);
    // It could not be started at all.
    child.on('error', () => child.pid === undefined && resolve(null));
  });
  let isBusy = false;
  child.on('message', (told: Told) => {
    isBusy = told.isBusy ?? isBusy;
  });
  const up = next(child, 'up');
  return {
    pid: child.pid ?? 0,
    up: Promise.race([up.then(({ url }) => ({ url })), ended.then((exitCode) => ({ exitCode }))]),
    ended,
    stop: () => void child.kill('SIGTERM'),
    kill: () => void child.kill('SIGKILL'),
    async rssBytes() {
      if (!child.connected) return undefined;
      const answer = next(child, 'rssBytes');
      child.send('memory', () => undefined);
      return within(Promise.race([answer, ended.then(() => undefined)]), ANSWERS_WITHIN_MS);
    },
    isBusy: () => isBusy,
  };
}

/** Never resolves when it is not told. */
function next<Name extends keyof Told>(child: ChildProcess, name: Name): Promise<NonNullable<Told[Name]>> {
  return new Promise((resolve) => {
    const hear = ({ [name]: value }: Told): void => {
      if (value === undefined) return;
      child.off('message', hear);
      resolve(value);
    };
    child.on('message', hear);
  });
}
