// The variables that say who may call a server, and from where.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { faultsOf } from '../support/config-faults.ts';
import { makeKey } from '../support/keys.ts';

const folder = mkdtempSync(join(tmpdir(), 'popfleet-test-'));

afterAll(() => rmSync(folder, { recursive: true }));

test('keys are read from the variable and from a file, split by commas or white space', () => {
  const [one, two, three] = [makeKey(['read']), makeKey(['admin'], ['mail', 'video']), makeKey(['enqueue'])];
  const file = join(folder, 'keys');
  writeFileSync(file, `${three.entry}\n`);
  const upper = two.entry.replace(/[0-9a-f]{64}/, (digest) => digest.toUpperCase());
  const env = { API_KEYS: `\n ${one.entry},${upper}\t`, API_KEYS_FILE: file };
  expect(readConfig(env, 1).apiKeys).toEqual([one.apiKey, two.apiKey, three.apiKey]);
  expect(faultsOf({ API_KEYS: three.entry, API_KEYS_FILE: file })).toEqual([
    `API_KEYS_FILE: has an id of API_KEYS again: ${three.id}`,
  ]);
});

const DIGEST = 'ab'.repeat(32);

test.each<[string, string, string]>([
  ['a key itself', makeKey().text, 'entry 1 must begin with an id of 8 characters out of a-z and 0-9'],
  ['a digest alone', DIGEST, 'entry 1 must begin with an id of 8 characters out of a-z and 0-9'],
  [
    'a long id',
    `abcdefgh9:${DIGEST}:read`,
    'entry 1 must begin with an id of 8 characters out of a-z and 0-9',
  ],
  [
    'no digest',
    'abcdefgh',
    'entry 1 (abcdefgh) must have the SHA-256 of the key, 64 hexadecimal digits, after the id',
  ],
  [
    'a short digest',
    `abcdefgh:${DIGEST.slice(1)}:read`,
    'entry 1 (abcdefgh) must have the SHA-256 of the key, 64 hexadecimal digits, after the id',
  ],
  [
    'no scopes',
    `abcdefgh:${DIGEST}`,
    'entry 1 (abcdefgh) must name scopes out of enqueue, read, admin, joined by +',
  ],
  [
    'empty scopes',
    `abcdefgh:${DIGEST}:`,
    'entry 1 (abcdefgh) must name scopes out of enqueue, read, admin, joined by +',
  ],
  [
    'an unknown scope',
    `abcdefgh:${DIGEST}:read+root`,
    'entry 1 (abcdefgh) must name scopes out of enqueue, read, admin, joined by +',
  ],
  [
    'an empty queue',
    `abcdefgh:${DIGEST}:read:`,
    'entry 1 (abcdefgh) must name queues that match ^[a-z0-9][a-z0-9_.-]{0,63}$, joined by +',
  ],
  ['too many parts', `abcdefgh:${DIGEST}:read:mail:x`, 'entry 1 (abcdefgh) has more than four parts'],
  ['an id twice', `abcdefgh:${DIGEST}:read abcdefgh:${DIGEST}:admin`, 'has the id abcdefgh more than once'],
  ['nothing', ' , ', 'must hold at least one entry'],
])('API_KEYS with %s is a fault that repeats no secret', (_, text, fault) => {
  const faults = faultsOf({ API_KEYS: text });
  expect(faults).toEqual([`API_KEYS: ${fault}`]);
  expect(faults.join()).not.toContain(DIGEST.slice(0, 20));
});

test('every faulty key is told by its place', () => {
  const faults = faultsOf({ API_KEYS: `${makeKey().entry}, x, abcdefgh:x:read` });
  expect(faults.map((fault) => fault.split(' must')[0])).toEqual([
    'API_KEYS: entry 2',
    'API_KEYS: entry 3 (abcdefgh)',
  ]);
});

test('a file of keys that cannot be read, or is empty, is a fault: nobody gets in by it', () => {
  expect(faultsOf({ API_KEYS_FILE: '/nowhere/keys' })).toEqual(['API_KEYS_FILE: cannot be read (ENOENT)']);
  const file = join(folder, 'no-keys');
  writeFileSync(file, '\n');
  expect(faultsOf({ API_KEYS_FILE: file })).toEqual(['API_KEYS_FILE: must hold at least one entry']);
});

test.each([
  '0.0.0.0',
  '::',
  '10.1.2.3',
  'example.org',
  'localhost.example.org',
  '127.0.0.1.example.org',
  '128.0.0.1',
])('a server that listens on %s needs keys, or to be told that it does not', (HOST) => {
  for (const APP_TYPE of ['server', 'all']) {
    expect(faultsOf({ APP_TYPE, HOST })).toEqual([
      `HOST: ${HOST} can be reached from other machines: set API_KEYS (popfleet key makes one), or ` +
        'ALLOW_ANONYMOUS=1 to let everyone send, read and cancel tasks',
    ]);
    expect(faultsOf({ APP_TYPE, HOST, ALLOW_ANONYMOUS: '0' })).toHaveLength(1);
    expect(readConfig({ APP_TYPE, HOST, ALLOW_ANONYMOUS: '1' }, 1).allowAnonymous).toBe(true);
    expect(readConfig({ APP_TYPE, HOST, API_KEYS: makeKey().entry }, 1).apiKeys).toHaveLength(1);
  }
  expect(readConfig({ APP_TYPE: 'worker', HOST }, 1).host).toBe(HOST);
});

test.each(['127.0.0.1', '127.255.0.9', '::1', 'localhost'])('on %s a server needs no keys', (HOST) => {
  expect(readConfig({ APP_TYPE: 'server', HOST }, 1)).toMatchObject({ host: HOST, apiKeys: [] });
});

test.each([
  ['ALLOW_ANONYMOUS', ['yes', 'on', '2', 'TRUE'], 'must be 1, true, 0 or false'],
  [
    'PUBLIC_URL',
    [
      'tasks.example.org',
      'ftp://x',
      'https://',
      'https://x/a b',
      'https://x/a;b',
      'https://x/a/../b',
      'https://x/a//b',
      'https://x/a#b',
      'https://x?y',
      'https://u:p@x',
      'HTTPS://x',
      '*',
    ],
    'must be like https://tasks.example.org or https://example.org/tasks, without a query or credentials',
  ],
  [
    'CORS_ORIGINS',
    [
      '*',
      'null',
      'https://x/',
      'https://x:443',
      'https://X',
      'https://a.example.org,*',
      'https://*.example.org/',
    ],
    'must be origins like https://app.example.org, without a path',
  ],
])('%s refuses %j', (name, values, fault) => {
  for (const value of values) expect(faultsOf({ [name]: value })).toEqual([`${name}: ${fault}`]);
});

test.each([
  'redis://:hunter2@host:99999',
  'redis://user:hunter2/x@host',
  'redis://:hunter2%@host',
  'redis://:hunter2%ff@h',
])('%s is no address that a client can use, and the fault keeps its password', (url) => {
  const [fault, ...more] = faultsOf({ REDIS_URL: url });
  expect(more).toEqual([]);
  expect(fault).toMatch(/^REDIS_URL: (must have|has|is not) /);
  expect(fault).not.toContain('hunter2');
});
