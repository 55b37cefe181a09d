// Processes that a measurement starts: workers and servers. Each ends with the measurement.

import { spawn, spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const HERE = fileURLToPath(new URL('./', import.meta.url));

const started = new Set();
const folders = new Set();
process.on('exit', () => {
  for (const child of started) child.kill('SIGKILL');
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A folder that is gone with this process, or before. */
export function temporaryFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'popfleet-bench-'));
  folders.add(folder);
  return folder;
}

export function removeFolder(folder) {
  folders.delete(folder);
  rmSync(folder, { recursive: true, force: true });
}

/** What it prints goes to stderr: stdout belongs to the result. */
export function start(program, args, env = {}, options = {}) {
  const child = spawn(program, args, {
    stdio: ['ignore', 'ignore', 'inherit'],
    ...options,
    env: { ...process.env, ...env },
  });
  started.add(child);
  child.once('error', (error) => {
    throw error;
  });
  child.once('exit', (code, signal) => {
    started.delete(child);
    if (signal !== 'SIGKILL' && signal !== 'SIGTERM' && code !== 0) {
      throw new Error(`${program} ${args.join(' ')} ended with ${code ?? signal}`);
    }
  });
  return child;
}

/** A worker of a peer, which says over IPC how often its handler ran. */
export function startPeerWorker(file, settings, runtime = process.execPath) {
  const child = start(
    runtime,
    [join(HERE, 'fixtures', file), JSON.stringify(settings)],
    {},
    {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    },
  );
  return {
    child,
    /** How often its handler `ran`, and the milliseconds since it first did. */
    async runs() {
      const answered = once(child, 'message');
      child.send('runs?');
      const [runs] = await answered;
      return runs;
    },
    async ran() {
      return (await this.runs()).ran;
    },
  };
}

export async function end(child, signal = 'SIGKILL') {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  await gone;
}

/** A short program's output. @throws with what it said when it failed */
export function output(program, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8', ...options });
  if (error) throw error;
  if (status !== 0) throw new Error(`${program} ended with ${status}: ${stderr || stdout}`);
  return stdout;
}

/** A port that nobody listens on just now, below those that the kernel gives to connections (32,768 and up on Linux). */
export async function freePort() {
  for (;;) {
    const port = randomInt(30_000, 32_768);
    const server = createServer().listen(port, '127.0.0.1');
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}

/** Waits until a server at this address takes tasks. */
export const untilReady = (base) => untilAnswered(`${base}/readyz`);

/** Waits until an address is answered with success. */
export async function untilAnswered(url) {
  for (let isUp = false; !isUp; await sleep(50)) {
    isUp = await fetch(url).then(
      ({ ok }) => ok,
      () => false,
    );
  }
}
