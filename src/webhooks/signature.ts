// Signatures of webhooks by Standard Webhooks 1.0.0 (https://www.standardwebhooks.com): an HMAC-SHA256 over id, time and body.

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

const PREFIX = 'whsec_';
const SECRET_BYTES = 32;
const FEWEST_SECRET_BYTES = 24;
const MOST_SECRET_BYTES = 64;
/** A message that was signed longer ago, or will be signed later than this, is refused: in seconds. */
const TOLERANCE_SECONDS = 300;
const VERSION = 'v1';

export interface SignedHeaders {
  readonly 'webhook-id': string;
  /** Seconds since 1970, when this attempt was made. */
  readonly 'webhook-timestamp': string;
  /** One entry a secret, with a blank between two. */
  readonly 'webhook-signature': string;
}

/** A new secret in its written form: `whsec_` and base64. */
export function createSecret(): string {
  return PREFIX + randomBytes(SECRET_BYTES).toString('base64');
}

/** The bytes of a written secret; the prefix may be missing. A text that says why it is none. */
export function readSecret(text: string): Buffer | string {
  const encoded = text.startsWith(PREFIX) ? text.slice(PREFIX.length) : text;
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(encoded)) return 'the secret must be whsec_ and base64';
  const bytes = Buffer.from(encoded, 'base64');
  if (bytes.length >= FEWEST_SECRET_BYTES && bytes.length <= MOST_SECRET_BYTES) return bytes;
  return `the secret must have ${FEWEST_SECRET_BYTES} to ${MOST_SECRET_BYTES} bytes, it has ${bytes.length}`;
}

/**
 * Signs a message with each secret.
 * @param secrets in their written form; those that are none are left out
 * @param seconds since 1970
 * @param body exactly as it is sent
 */
export function signedHeaders(
  secrets: readonly string[],
  id: string,
  seconds: number,
  body: string | Uint8Array,
): SignedHeaders {
  const signatures = secrets.flatMap((secret) => {
    const bytes = readSecret(secret);
    return typeof bytes === 'string' ? [] : `${VERSION},${macOf(bytes, id, String(seconds), body)}`;
  });
  return {
    'webhook-id': id,
    'webhook-timestamp': String(seconds),
    'webhook-signature': signatures.join(' '),
  };
}

/**
 * Checks a message as its receiver would.
 * @param headers by their names in lower case
 * @param body exactly as it came
 * @param nowSeconds since 1970
 * @returns every reason why it is refused, as sentences; none = it is authentic
 */
export function faultsOfMessage(
  secret: string,
  headers: Readonly<Record<string, string | undefined>>,
  body: string | Uint8Array,
  nowSeconds: number,
): string[] {
  const key = readSecret(secret);
  const id = headers['webhook-id'];
  const timestamp = headers['webhook-timestamp'];
  const signature = headers['webhook-signature'];
  const faults: string[] = typeof key === 'string' ? [`${key}.`] : [];
  const names = ['webhook-id', 'webhook-timestamp', 'webhook-signature'];
  for (const name of names.filter((one) => !headers[one])) faults.push(`The header ${name} is missing.`);
  if (timestamp) faults.push(...faultsOfTime(timestamp, nowSeconds));
  if (typeof key === 'string' || !id || !timestamp || !signature) return faults;
  const given = signature.split(' ').flatMap((entry) => {
    const [version, ...rest] = entry.split(',');
    return version === VERSION ? rest.join(',') : [];
  });
  if (given.length === 0) {
    faults.push(`The header webhook-signature has no entry that begins with "${VERSION},".`);
  } else if (!given.some((one) => areEqual(one, macOf(key, id, timestamp, body)))) {
    faults.push(
      'No signature fits: the secret is another one, or id, timestamp or body are not as they were sent. The body must be ' +
        'the bytes that came, not JSON that was read and written again.',
    );
  }
  return faults;
}

function faultsOfTime(timestamp: string, nowSeconds: number): string[] {
  if (!/^\d{1,12}$/.test(timestamp)) return ['The header webhook-timestamp is no number of seconds.'];
  const late = nowSeconds - Number(timestamp);
  if (Math.abs(late) <= TOLERANCE_SECONDS) return [];
  const when = late > 0 ? `${late} seconds ago` : `${-late} seconds in the future`;
  return [
    `It was signed ${when}; ${TOLERANCE_SECONDS} are allowed. It may have been replayed, or a clock is wrong.`,
  ];
}

function macOf(key: Buffer, id: string, timestamp: string, body: string | Uint8Array): string {
  return createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64');
}

/** Takes as long for a wrong signature as for a right one. */
function areEqual(given: string, expected: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(expected)];
  return one.length === other.length && timingSafeEqual(one, other);
}
