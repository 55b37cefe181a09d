// `popfleet verify-webhook`: what a receiver got, checked by hand.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { createSecret, signedHeaders } from '../../src/webhooks/signature.ts';
import { BARE_ENV } from '../support/bare-env.ts';

const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
const dir = mkdtempSync(join(tmpdir(), 'popfleet-test-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const secret = createSecret();
const file = join(dir, 'secret');
writeFileSync(file, `${secret}\n`);

function verify(message: string, secretFile = file) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [CLI, 'verify-webhook', '--secret-file', secretFile],
    {
      input: message,
      env: BARE_ENV,
      encoding: 'utf8',
    },
  );
  return { status, stdout, stderr };
}

function messageOf(seconds: number, body = '{"type":"task.dead"}\n\nmore'): string {
  const headers = Object.entries(signedHeaders([secret], 'id', seconds, body));
  return `POST /hook HTTP/1.1\r\n${headers.map(([name, value]) => `${name.toUpperCase()}: ${value}\r\n`).join('')}\r\n${body}`;
}

test('an authentic message, and each reason why another one is not', () => {
  const now = Math.floor(Date.now() / 1_000);
  expect(verify(messageOf(now))).toEqual({ status: 0, stdout: 'The message is authentic.\n', stderr: '' });
  const late = verify(`${messageOf(now - 900)} changed`);
  expect(late.status).toBe(1);
  expect(late.stderr).toMatch(/refused:\n- It was signed 9\d\d seconds ago.*\n- No signature fits/);
  expect(verify('no headers').stderr).toMatch(/no empty line/);
  expect(verify('', join(dir, 'none')).stderr).toMatch(/--secret-file .* cannot be read \(ENOENT\)/);
});
