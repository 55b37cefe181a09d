// Where webhooks may go: every way to write, or to name, an address that is inside.

import { expect, test } from 'vitest';
import { readAllowed } from '../../src/webhooks/allow.ts';
import { createGuard, isPublic, type Resolve } from '../../src/webhooks/guard.ts';

const never: Resolve = async (host) => {
  throw new Error(`${host} was resolved`);
};
const as =
  (...addresses: readonly string[]): Resolve =>
  async () =>
    addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));

/** Every spelling of an address that is inside. */
const INSIDE = [
  'http://127.0.0.1/',
  'http://127.1/',
  'http://2130706433/',
  'http://0x7f.1/',
  'http://0x7f000001/',
  'http://0177.0.0.1/',
  'http://017700000001/',
  'http://127.0.0.1./',
  'http://①②⑦.0.0.1/',
  'http://127。0。0。1/',
  'http://%31%32%37.0.0.1/',
  'http://0/',
  'http://0.0.0.0/',
  'http://10.1.2.3/',
  'http://172.16.0.1/',
  'http://172.31.255.255/',
  'http://192.168.0.1/',
  'http://169.254.169.254/latest/meta-data/',
  'http://168.63.129.16/',
  'http://[::ffff:168.63.129.16]/',
  'http://100.64.0.1/',
  'http://100.100.100.200/',
  'http://192.0.0.192/',
  'http://192.0.2.1/',
  'http://192.88.99.1/',
  'http://198.18.0.1/',
  'http://198.19.255.255/',
  'http://198.51.100.1/',
  'http://203.0.113.1/',
  'http://224.0.0.1/',
  'http://240.0.0.1/',
  'http://255.255.255.255/',
  'http://[::]/',
  'http://[::1]/',
  'http://[0:0:0:0:0:0:0:1]/',
  'http://[::ffff:127.0.0.1]/',
  'http://[::ffff:7f00:1]/',
  'http://[::ffff:169.254.169.254]/',
  'http://[::127.0.0.1]/',
  'http://[::7f00:1]/',
  'http://[::8.8.8.8]/',
  'http://[::ffff:0:127.0.0.1]/',
  'http://[64:ff9b::7f00:1]/',
  'http://[64:ff9b:1::7f00:1]/',
  'http://[2002:7f00:1::]/',
  'http://[2001:0:7f00:1::]/',
  'http://[2001:2::1]/',
  'http://[2001:10::1]/',
  'http://[2001:20::1]/',
  'http://[2001:db8::1]/',
  'http://[3fff::1]/',
  'http://[100::1]/',
  'http://[fe80::1]/',
  'http://[fec0::1]/',
  'http://[fc00::1]/',
  'http://[fd00:ec2::254]/',
  'http://[ff02::1]/',
  'http://[5f00::1]/',
  'http://[4000::1]/',
];

test.each(INSIDE)('%s is inside, however it is written', async (text) => {
  const guard = createGuard([], never);
  expect(guard.faultOf(text)).toMatch(/is not on the public internet.*WEBHOOK_ALLOW/);
  await expect(guard.check(new URL(text))).rejects.toMatchObject({ isForGood: true });
});

test.each([
  ['ftp://example.org/', /begin with https/],
  ['file:///etc/passwd', /begin with https/],
  ['gopher://example.org/', /begin with https/],
  ['javascript:alert(1)', /begin with https/],
  ['http://user@example.org/', /no user name/],
  ['http://:secret@example.org/', /no user name/],
  ['//example.org/', /must be a URL/],
  ['http://', /must be a URL/],
  ['http://[fe80::1%25eth0]/', /must be a URL/],
  ['http://1.2.3.4.5/', /must be a URL/],
  [`https://example.org/${'x'.repeat(2_050)}`, /at most 2048/],
  ['http://8.8.8.8:22/', /not to port 22/],
])('%s is none', (text, why) => {
  expect(createGuard([], never).faultOf(text)).toMatch(why);
});

test.each([
  ['one address inside', ['127.0.0.1']],
  ['one of two inside', ['93.184.216.34', '10.0.0.1']],
  ['the metadata of a cloud', ['169.254.169.254']],
  ['a mapped address', ['::ffff:10.0.0.1']],
  ['a scope', ['fe80::1%eth0']],
  ['what is no address', ['nonsense']],
])('a name with %s is refused', async (_, addresses) => {
  const guard = createGuard([], as(...addresses));
  await expect(guard.check(new URL('https://example.org/'))).rejects.toMatchObject({ isForGood: true });
});

test('a name that cannot be resolved is refused for now', async () => {
  const guard = createGuard([], never);
  await expect(guard.check(new URL('https://example.org/'))).rejects.toMatchObject({ isForGood: false });
  await expect(createGuard([], as()).check(new URL('https://example.org/'))).rejects.toThrow(
    /no address is known/,
  );
});

test('a port is open to what is allowed alone', async () => {
  const guard = createGuard(['hooks.example.org'], as('93.184.216.34'));
  await expect(guard.check(new URL('https://example.org:6379/'))).rejects.toThrow(/not to port 6379/);
  await expect(guard.check(new URL('https://hooks.example.org:6379/'))).resolves.toBeTruthy();
  await expect(guard.check(new URL('https://example.org:8443/'))).resolves.toBeTruthy();
});

test('public addresses are connected to, each as it was found', async () => {
  for (const address of ['93.184.216.34', '1.1.1.1', '2606:4700:4700::1111', '::ffff:1.1.1.1']) {
    expect(isPublic(address)).toBe(true);
    const family = address.includes(':') ? 6 : 4;
    await expect(createGuard([], as(address)).check(new URL('https://example.org/'))).resolves.toEqual({
      address,
      family,
    });
  }
});

test('what WEBHOOK_ALLOW names is allowed: hosts, addresses, networks', async () => {
  const guard = createGuard(['Hooks.internal', '10.1.0.0/16', 'fd00::/8', '127.0.0.1'], async (host) => [
    { address: host === 'hooks.internal' ? '192.168.1.1' : '10.1.2.3', family: 4 },
  ]);
  for (const url of [
    'http://hooks.internal:8080/',
    'http://hooks.internal./',
    'http://10.1.255.1:9999/',
    'http://other.internal/',
    'http://[fd00::7]/',
    'http://127.0.0.1:3000/',
    'http://2130706433/',
  ]) {
    await expect(guard.check(new URL(url))).resolves.toBeTruthy();
  }
  for (const url of ['http://10.2.0.1/', 'http://127.0.0.2/', 'http://[fc00::7]/']) {
    await expect(guard.check(new URL(url))).rejects.toThrow(/public internet/);
  }
});

test.each([
  '10.0.0.0/33',
  '10.0.0.0/',
  'fd00::/129',
  '10.0.0/8',
  '127.1',
  'a b',
  'http://x',
  '*',
  'x/8',
  '-x',
  '1.2.3.4/8/8',
])('"%s" is nothing to allow', (entry) => {
  expect(readAllowed([entry])).toMatch(/neither a host nor a network/);
});
