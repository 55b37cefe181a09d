// One load run against a fake server, and what came of it.

import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { runLoad } from '../../src/load/load.ts';
import { LOAD_DEFAULTS, type LoadOptions } from '../../src/load/options.ts';
import type { LoadSummary } from '../../src/load/summary.ts';
import { EXIT_CODES } from '../../src/load/verdict.ts';
import { type FakeServer, type Misbehaviour, startFakeServer } from './fake-server.ts';

export interface Run {
  readonly summary: LoadSummary;
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The fake server of one test; `close` it after each. */
export interface LoadFake {
  readonly server: FakeServer;
  run(misbehaviour: Misbehaviour, options?: Partial<LoadOptions>): Promise<Run>;
  close(): Promise<void>;
}

export function createLoadFake(): LoadFake {
  let server: FakeServer | undefined;
  return {
    get server() {
      if (server === undefined) throw new Error('the fake server has not been started');
      return server;
    },
    async run(misbehaviour, options = {}) {
      server = await startFakeServer(misbehaviour);
      return loadFrom(server.url, options);
    },
    async close() {
      await server?.close();
      server = undefined;
    },
  };
}

/** 50 tasks, 8 at the same time, unless the options say otherwise. */
export async function loadFrom(url: URL, options: Partial<LoadOptions>): Promise<Run> {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const summary = await runLoad(
    { ...LOAD_DEFAULTS, tasks: 50, inFlight: 8, url, ...options },
    { stdout, stderr },
  );
  stdout.end();
  stderr.end();
  return {
    summary,
    exitCode: EXIT_CODES[summary.outcome],
    stdout: await text(stdout),
    stderr: await text(stderr),
  };
}
