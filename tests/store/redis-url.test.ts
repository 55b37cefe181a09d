// How REDIS_URL is read: every part of it on purpose, and never a part of it in a message.

import { expect, test } from 'vitest';
import { PopfleetError } from '../../src/protocol/errors.ts';
import { type RedisAddress, readRedisUrl } from '../../src/store/redis-url.ts';
import { faultsOf } from '../support/config-faults.ts';

const SECRET = 'hunter2';

function faultOf(text: string): string {
  try {
    readRedisUrl(text);
  } catch (error) {
    expect(error).toBeInstanceOf(PopfleetError);
    return (error as Error).message;
  }
  throw new Error(`it was taken: ${text}`);
}

test.each([
  ['redis://localhost', { host: 'localhost', port: 6_379, db: 0 }],
  ['REDIS://LocalHost:1/', { host: 'LocalHost', port: 1, db: 0 }],
  ['redis://10.0.0.7:65535/15', { host: '10.0.0.7', port: 65_535, db: 15 }],
  ['redis://[::1]:7000', { host: '::1', port: 7_000, db: 0 }],
  ['redis://redis_1.internal', { host: 'redis_1.internal', port: 6_379, db: 0 }],
  [`redis://:${SECRET}@host`, { host: 'host', port: 6_379, db: 0, password: SECRET }],
  ['redis://:@host', { host: 'host', port: 6_379, db: 0 }],
  ['redis://user:@host', { host: 'host', port: 6_379, db: 0, username: 'user', password: '' }],
  ['redis://user:a:b@host', { host: 'host', port: 6_379, db: 0, username: 'user', password: 'a:b' }],
  ['rediss://u:p@host/2', { host: 'host', port: 6_379, db: 2, username: 'u', password: 'p', tls: {} }],
  ['redis://host?db=3', { host: 'host', port: 6_379, db: 3 }],
  [' redis://host\n', { host: 'host', port: 6_379, db: 0 }],
  ['/run/redis.sock', { path: '/run/redis.sock', db: 0 }],
  ['/run/what?/redis.sock', { path: '/run/what?/redis.sock', db: 0 }],
  ['/run/a b#c?db=/redis.sock', { path: '/run/a b#c?db=/redis.sock', db: 0 }],
  ['/run/redis.sock?db=4', { path: '/run/redis.sock', db: 4 }],
  ['/r.sock?password=p%40&username=u', { path: '/r.sock', db: 0, username: 'u', password: 'p@' }],
  [
    'redis+sentinel://a,b:2,[::1]:3/main',
    {
      sentinels: [
        { host: 'a', port: 26_379 },
        { host: 'b', port: 2 },
        { host: '::1', port: 3 },
      ],
      name: 'main',
      db: 0,
    },
  ],
  [
    'redis+cluster://a,b:2,[::1]:3/',
    {
      cluster: [
        { host: 'a', port: 6_379 },
        { host: 'b', port: 2 },
        { host: '::1', port: 3 },
      ],
      db: 0,
    },
  ],
  [
    'rediss+cluster://u:p%40%2F@a',
    { cluster: [{ host: 'a', port: 6_379 }], db: 0, username: 'u', password: 'p@/', tls: {} },
  ],
  [
    'rediss+sentinel://u:p%40@a/my.main-1/4?sentinelPassword=s%3D&sentinelUsername=w',
    {
      sentinels: [{ host: 'a', port: 26_379 }],
      name: 'my.main-1',
      db: 4,
      username: 'u',
      password: 'p@',
      sentinelUsername: 'w',
      sentinelPassword: 's=',
      tls: {},
    },
  ],
] satisfies [string, RedisAddress][])('case 10: %s', (text, address) => {
  expect(readRedisUrl(text)).toEqual(address);
});

test('case 10: a password of any characters works percent-encoded, in user and password', () => {
  const any = Array.from({ length: 0x250 - 0x20 }, (_, at) => String.fromCodePoint(at + 0x20)).join('');
  const encoded = encodeURIComponent(`${any}🔑`);
  expect(readRedisUrl(`redis://${encoded}:${encoded}@host`)).toMatchObject({
    username: `${any}🔑`,
    password: `${any}🔑`,
  });
});

test.each([
  [`redis://:${SECRET}@${SECRET}@host:6379`, '%40'],
  [`redis://user:${SECRET}/x@host:6379/1`, '%2F'],
  [`redis://user:${SECRET}?x=${SECRET}@host`, '%3F'],
  [`redis://user:${SECRET}#${SECRET}@host`, '%23'],
  [`redis://user:12/${SECRET}@host`, '%2F'],
  [`redis://:${SECRET}%@host`, '%25'],
  [`redis://:${SECRET}%ff@host`, '%25'],
  [`redis://:${SECRET} ${SECRET}@host`, '%20'],
  [`redis://:${SECRET}\n${SECRET}@host`, '%20'],
  [`redis://${SECRET}@host`, 'user'],
  [`http://:${SECRET}@host`, 'must begin with redis://'],
  [SECRET, 'must begin with redis://'],
  ['redis://', 'must begin with redis://'],
  ['redis://:6379', 'not a valid URL'],
  [`redis://:${SECRET}@`, 'not a valid URL'],
  [`redis://:${SECRET}@host:port`, 'not a valid URL'],
  [`redis://:${SECRET}@a:1,b:2`, 'not a valid URL'],
  [`redis://:${SECRET}@host#part`, 'not a valid URL'],
  [`redis://:${SECRET}@[::1`, 'not a valid URL'],
  [`redis://:${SECRET}@host:0`, 'port'],
  [`redis://:${SECRET}@host:65536`, 'port'],
  [`redis://:${SECRET}@host/abc`, 'database'],
  [`redis://:${SECRET}@host/-1`, 'database'],
  [`redis://:${SECRET}@host/1.5`, 'database'],
  [`redis://:${SECRET}@host/99999999999`, 'database'],
  [`redis://:${SECRET}@host/1/2`, 'not a valid URL'],
  [`redis://:${SECRET}@host?connectTimeout=abc`, 'options'],
  [`redis://:${SECRET}@host?keyPrefix=x`, 'options'],
  [`redis://:${SECRET}@host?db=1&db=2`, 'options'],
  [`redis://:${SECRET}@host?password=${SECRET}`, 'options'],
  [`redis+sentinel://:${SECRET}@a,b`, 'which primary'],
  [`redis+sentinel://:${SECRET}@a,b/`, 'which primary'],
  [`redis+sentinel://:${SECRET}@a,,b/main`, 'not a valid URL'],
  [`redis+sentinel://:${SECRET}@a b/main`, 'white space'],
  [`redis+sentinel://:${SECRET}@a:0/main`, 'port'],
  [`redis+sentinel://:${SECRET}@a/main/x`, 'database'],
  [`redis+sentinel://:${SECRET}@a/main?sentinelpassword=${SECRET}`, 'sentinelPassword'],
  [`redis+cluster://:${SECRET}@a,b/1`, 'must not name a database'],
  [`redis+cluster://:${SECRET}@a,,b`, 'not a valid URL'],
  [`redis+cluster://:${SECRET}@a,b?db=1`, 'not a valid URL'],
  [`redis+cluster://:${SECRET}@a:70000`, 'port'],
  [`redis+cluster://user@a,b`, 'without a password'],
  [`redis+clusters://:${SECRET}@a,b`, 'must begin with'],
  [`/run/redis.sock?passwort=${SECRET}`, 'options'],
  ['/run/redis.sock?db=x', 'database'],
])('case 10: %s is refused', (text, words) => {
  const fault = faultOf(text);
  expect(fault).toContain(words);
  expect(fault).not.toContain(SECRET);
  expect(faultsOf({ REDIS_URL: text })).toEqual([`REDIS_URL: ${fault}`]);
});
