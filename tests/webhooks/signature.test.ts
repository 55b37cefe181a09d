// Signatures, beside the published library that receivers use.

import { Webhook } from 'standardwebhooks';
import { expect, test } from 'vitest';
import { rotated } from '../../src/webhooks/rotation.ts';
import { createSecret, faultsOfMessage, readSecret, signedHeaders } from '../../src/webhooks/signature.ts';

const ID = '0193a1b2-c3d4-7abc-8def-0123456789ab';
const BODY = JSON.stringify({ type: 'task.succeeded', data: { result: 'Grüße, 世界 🎉' } });
const now = (): number => Math.floor(Date.now() / 1_000);

function verified(secret: string, headers: object, body = BODY): unknown {
  return new Webhook(secret).verify(body, headers as Record<string, string>);
}

test('the published library verifies what is signed, and signs the same', () => {
  const secret = createSecret();
  const headers = signedHeaders([secret], ID, now(), BODY);
  expect(verified(secret, headers)).toEqual(JSON.parse(BODY));
  const theirs = new Webhook(secret).sign(ID, new Date(Number(headers['webhook-timestamp']) * 1_000), BODY);
  expect(headers['webhook-signature']).toBe(theirs);
  expect(faultsOfMessage(secret, { ...headers }, BODY, now())).toEqual([]);
});

test.each([
  ['forged: another secret', { secret: createSecret() }, /No signature fits/],
  ['forged: another body', { body: BODY.replace('succeeded', 'dead') }, /No signature fits/],
  ['replayed under another id', { headers: { 'webhook-id': ID.replace('0', '1') } }, /No signature fits/],
  [
    'replayed with a newer time',
    { headers: { 'webhook-timestamp': String(now() + 9) } },
    /No signature fits/,
  ],
  ['late', { signedAt: now() - 400 }, /signed 4\d\d seconds ago/],
  ['too early', { signedAt: now() + 400 }, /seconds in the future/],
  ['of another version', { headers: { 'webhook-signature': 'v2,AAAA' } }, /no entry that begins with "v1,"/],
  ['without an id', { headers: { 'webhook-id': '' } }, /webhook-id is missing/],
  ['without a signature', { headers: { 'webhook-signature': '' } }, /webhook-signature is missing/],
  ['with a time that is none', { headers: { 'webhook-timestamp': 'now' } }, /no number of seconds/],
])('%s: the library and the command refuse it', (_, change, why) => {
  const {
    secret: other,
    body = BODY,
    headers: changed = {},
    signedAt = now(),
  } = change as {
    secret?: string;
    body?: string;
    headers?: object;
    signedAt?: number;
  };
  const secret = createSecret();
  const headers = { ...signedHeaders([secret], ID, signedAt, BODY), ...changed };
  expect(() => verified(other ?? secret, headers, body)).toThrow();
  expect(faultsOfMessage(other ?? secret, headers, body, now()).join(' ')).toMatch(why);
});

test('a receiver with either secret verifies while one takes the place of the other', () => {
  const [before, fresh] = [createSecret(), createSecret()];
  const at = Date.now();
  const secrets = rotated([{ secret: before }], fresh, at);
  expect(secrets).toEqual([{ secret: fresh }, { secret: before, until: at + 86_400_000 }]);
  const headers = signedHeaders(
    secrets.map(({ secret }) => secret),
    ID,
    now(),
    BODY,
  );
  expect(headers['webhook-signature'].split(' ')).toHaveLength(2);
  for (const secret of [before, fresh]) expect(verified(secret, headers)).toBeTruthy();
  expect(rotated(secrets, createSecret(), at + 86_400_000)).toHaveLength(2);
});

test.each(['whsec_', 'whsec_!!', 'whsec_c2hvcnQ=', 'whsk_AAAA', ''])('"%s" is no secret', (text) => {
  expect(readSecret(text)).toMatch(/^the secret must/);
});
