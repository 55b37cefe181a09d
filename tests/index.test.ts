import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const INDEX = new URL('../dist/index.js', import.meta.url).href;

test('a module with task definitions loads neither the client of Redis nor the log: each thread would', () => {
  const loaded = `
    const { createRequire } = await import('node:module');
    const popfleet = await import(${JSON.stringify(INDEX)});
    if (typeof popfleet.openPopfleet !== 'function') throw new Error('no openPopfleet');
    console.log(Object.keys(createRequire(${JSON.stringify(INDEX)}).cache).join('\\n'));`;
  const files = execFileSync(process.execPath, ['--input-type=module', '--eval', loaded], {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    encoding: 'utf8',
  });
  expect(files).not.toMatch(/node_modules\/(?:ioredis|pino)\//);
});
