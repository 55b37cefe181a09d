// The client as the build has it in runtimes other than Node: `npm run test:runtimes` brings them.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { openStage } from '../support/stage.ts';

const TASKS = fileURLToPath(new URL('../fixtures/tasks.mjs', import.meta.url));
const PROGRAM = fileURLToPath(new URL('../fixtures/client-program.mjs', import.meta.url));
const CLIENT = new URL('../../dist/client/client.js', import.meta.url).href;
/** Each with what comes before the name of a program: `["bun", "run"]`. */
const RUNTIMES = JSON.parse(process.env['POPFLEET_RUNTIMES'] ?? '[]') as readonly (readonly [
  string,
  ...string[],
])[];

test.skipIf(RUNTIMES.length === 0)(
  'sends, waits, follows, sends many and shows refusals',
  { timeout: 120_000 },
  async (context) => {
    const stage = openStage(context);
    const redis = await stage.redis();
    const env = { TASKS, REDIS_URL: redis.url };
    const [server] = await Promise.all([stage.here('server', env), stage.here('worker', env)]);
    for (const [program, ...words] of RUNTIMES) {
      const { stdout } = await promisify(execFile)(program, [...words, PROGRAM, CLIENT, server.url()]);
      expect({ program, ...JSON.parse(stdout) }).toEqual({
        program,
        result: 'Hello, you!',
        last: 'end',
        accepted: 150,
        code: 'invalid-input',
        stopped: 'not-found',
      });
    }
  },
);
