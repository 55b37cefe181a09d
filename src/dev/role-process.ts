// A role in a process of its own, as `popfleet dev` starts and replaces them.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const ENTRY = fileURLToPath(new URL('./role-entry.js', import.meta.url));

export interface RoleProcess {
  /** Resolves once the role is up, with the address of a server; or once it has ended without. */
  readonly up: Promise<Up>;
  /** Resolves with its exit code once it has ended; `null` when a signal has ended it. */
  readonly ended: Promise<number | null>;
  /** Asks it to end in order. */
  stop(): void;
}

type Up = { readonly url: string | undefined } | { readonly exitCode: number | null };

/** @param env variables of the role, with its name in `APP_TYPE` */
export function startRoleProcess(env: NodeJS.ProcessEnv): RoleProcess {
  const child = spawn(process.execPath, [...process.execArgv, ENTRY], {
    env,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const ended = once(child, 'exit').then(([code]) => code as number | null);
  const told = once(child, 'message').then(([message]) => message as { url?: string });
  return {
    up: Promise.race([told.then(({ url }) => ({ url })), ended.then((exitCode) => ({ exitCode }))]),
    ended,
    stop: () => void child.kill('SIGTERM'),
  };
}
