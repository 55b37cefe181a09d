// API keys: makes them, reads their entries in the configuration, and finds the key that a text belongs to.

import { createHash, randomBytes, randomInt, timingSafeEqual } from 'node:crypto';
import { QUEUE_NAME } from '../../protocol/names.ts';
import { type Caller, SCOPES, type Scope } from '../caller.ts';

/** What the server has of a key; its text is stored nowhere. */
export interface ApiKey {
  readonly id: string;
  /** SHA-256 of the whole text. */
  readonly digest: Buffer;
  readonly scopes: ReadonlySet<Scope>;
  /** Queues of the key; `undefined` = all. */
  readonly queues: ReadonlySet<string> | undefined;
}

export interface Keyring {
  readonly isEmpty: boolean;
  /** The key of an id, or one that no text matches, so that an unknown id takes as long as a known one. */
  find(id: string): ApiKey;
  /** The key that the text belongs to; `undefined` when there is none. */
  verify(text: string): ApiKey | undefined;
}

const PREFIX = 'pf_';
const ID_LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789';
const ID_LENGTH = 8;
const ID = /^[a-z0-9]{8}$/;
const SECRET_BYTES = 32;
const DIGEST = /^[0-9a-f]{64}$/i;

export function createKeyring(keys: readonly ApiKey[]): Keyring {
  const byId = new Map(keys.map((key) => [key.id, key]));
  const unmatched: ApiKey = { id: '', digest: randomBytes(32), scopes: new Set(), queues: undefined };

  function find(id: string): ApiKey {
    return byId.get(id) ?? unmatched;
  }

  return {
    isEmpty: byId.size === 0,
    find,
    verify(text) {
      const key = find(text.slice(PREFIX.length, PREFIX.length + ID_LENGTH));
      const matches = timingSafeEqual(digestOf(text), key.digest);
      return matches && key !== unmatched ? key : undefined;
    },
  };
}

export function callerOf({ id, scopes, queues }: ApiKey): Caller {
  return { key: id, scopes, queues };
}

/**
 * Makes a new key.
 * @param queues `undefined` = all
 * @returns the text for the caller, and the entry for `API_KEYS`
 */
export function createKey(
  scopes: readonly Scope[],
  queues: readonly string[] | undefined,
): { readonly key: string; readonly entry: string } {
  const id = Array.from({ length: ID_LENGTH }, () => ID_LETTERS[randomInt(ID_LETTERS.length)]).join('');
  const key = `${PREFIX}${id}_${randomBytes(SECRET_BYTES).toString('base64url')}`;
  const parts = [id, digestOf(key).toString('hex'), scopes.join('+')];
  if (queues) parts.push(queues.join('+'));
  return { key, entry: parts.join(':') };
}

/**
 * Reads entries `<id>:<SHA-256 of the key>:<scopes>[:<queues>]`, separated by commas or white space.
 * @returns the keys, and the fault of each invalid entry, which never repeats a digest
 */
export function readApiKeys(text: string): { readonly keys: ApiKey[]; readonly faults: string[] } {
  const keys: ApiKey[] = [];
  const faults: string[] = [];
  const entries = text.split(/[\s,]+/).filter((entry) => entry !== '');
  if (entries.length === 0) faults.push('must hold at least one entry');
  for (const [index, entry] of entries.entries()) {
    const read = readEntry(entry);
    if (typeof read !== 'string') keys.push(read);
    // A text that is no id could be a key or a digest, so it is not repeated.
    const id = entry.split(':', 1)[0] ?? '';
    if (typeof read === 'string') faults.push(`entry ${index + 1}${ID.test(id) ? ` (${id})` : ''} ${read}`);
  }
  for (const id of repeatedIds(keys)) faults.push(`has the id ${id} more than once`);
  return { keys, faults };
}

export function repeatedIds(keys: readonly ApiKey[]): Set<string> {
  const ids = keys.map(({ id }) => id);
  return new Set(ids.filter((id, index) => ids.indexOf(id) !== index));
}

/** @returns the key, or the fault as text */
function readEntry(entry: string): ApiKey | string {
  const [id = '', digest = '', scopeList = '', queueList, ...rest] = entry.split(':');
  if (!ID.test(id)) return 'must begin with an id of 8 characters out of a-z and 0-9';
  if (!DIGEST.test(digest)) return 'must have the SHA-256 of the key, 64 hexadecimal digits, after the id';
  const scopes = scopeList.split('+');
  if (!scopes.every(isScope)) return `must name scopes out of ${SCOPES.join(', ')}, joined by +`;
  const queues = queueList?.split('+');
  if (queues?.some((queue) => !QUEUE_NAME.test(queue))) {
    return `must name queues that match ${QUEUE_NAME.source}, joined by +`;
  }
  if (rest.length > 0) return 'has more than four parts';
  return {
    id,
    digest: Buffer.from(digest, 'hex'),
    scopes: new Set(scopes),
    queues: queues && new Set(queues),
  };
}

export function isScope(text: string): text is Scope {
  return SCOPES.some((scope) => scope === text);
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
