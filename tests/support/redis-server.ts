// Whatever starts a `redis-server` by its name (tests, roles, the embedded Redis) gets the program that REDIS_SERVER names, if it names one.

import { accessSync, constants, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';

/** Called by vitest before the first file. @returns what it calls after the last one */
export default function setup(): () => void {
  const program = process.env['REDIS_SERVER'];
  if (!program) return () => undefined;
  const path = resolve(program);
  try {
    accessSync(path, constants.X_OK);
  } catch {
    throw new Error(`REDIS_SERVER: no program can be started at ${path}`);
  }
  const folder = mkdtempSync(join(tmpdir(), 'popfleet-redis-'));
  symlinkSync(path, join(folder, 'redis-server'));
  process.env['PATH'] = [folder, process.env['PATH']].join(delimiter);
  return () => rmSync(folder, { recursive: true });
}
