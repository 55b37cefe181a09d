// Reads REDIS_URL. ioredis never sees the text: it would take a wrong one for something else, and show parts of it.

import type { ConnectionOptions } from 'node:tls';
import { PopfleetError } from '../protocol/errors.ts';

export interface NodeAddress {
  readonly host: string;
  readonly port: number;
}

/** Where Redis is, and who connects: as ioredis takes it. */
export interface RedisAddress {
  /** A unix socket; then there is neither host nor port. */
  readonly path?: string;
  readonly host?: string;
  readonly port?: number;
  /** Those that know where the primary is; then there is neither host nor port, but the name of the primary. */
  readonly sentinels?: NodeAddress[];
  readonly name?: string;
  readonly sentinelUsername?: string;
  readonly sentinelPassword?: string;
  /** Some nodes of a Redis Cluster; then there is neither host nor port. */
  readonly cluster?: readonly NodeAddress[];
  readonly username?: string;
  readonly password?: string;
  readonly db: number;
  /** Given for TLS. */
  readonly tls?: ConnectionOptions;
}

const DEFAULT_PORT = 6_379;
const DEFAULT_SENTINEL_PORT = 26_379;
/** Redis numbers its databases by an int (`databases` in redis.conf). */
const MOST_DATABASES = 2 ** 31;

/** Scheme, user and password, host, port, database, options. No part holds a character that ends it. */
const URL_PARTS =
  /^(?<scheme>rediss?):\/\/(?:(?<user>[^@/?#:]*)(?::(?<password>[^@/?#]*))?@)?(?<host>\[[\da-f:.]+\]|[\p{L}\p{N}._-]+)(?::(?<port>\d+))?(?:\/(?<db>[^/?#]*))?(?:\?(?<query>[^#]*))?$/iu;

/** The same with several hosts, and the name that the Sentinels have for the primary. */
const SENTINEL_PARTS =
  /^(?<scheme>rediss?)\+sentinel:\/\/(?:(?<user>[^@/?#:]*)(?::(?<password>[^@/?#]*))?@)?(?<hosts>[^@/?#]+)(?:\/(?<name>[\w.-]+))?(?:\/(?<db>[^/?#]*))?(?:\?(?<query>[^#]*))?$/iu;
/** The same with several nodes of a cluster, which has no databases. */
const CLUSTER_PARTS =
  /^(?<scheme>rediss?)\+cluster:\/\/(?:(?<user>[^@/?#:]*)(?::(?<password>[^@/?#]*))?@)?(?<hosts>[^@/?#]+)(?:\/(?<db>[^/?#]*))?$/iu;
const HOST_PARTS = /^(?<host>\[[\da-f:.]+\]|[\p{L}\p{N}._-]+)(?::(?<port>\d+))?$/iu;

/** A path may itself have a question mark in it: only what follows the last one, without a slash, can be options. */
const SOCKET_PARTS = /^(?<path>\/.*?)(?:\?(?<query>[a-z]+=[^/?]*))?$/is;

/**
 * Reads `redis://[user[:password]@]host[:port][/database]`, `redis+sentinel://[user[:password]@]host[:port],…/name[/database]`,
 * `redis+cluster://[user[:password]@]host[:port],…`, the same with `rediss` (TLS), or the path of a unix socket, which may end with `?db=`, `username=` and `password=`. One of Sentinels may end
 * with `?sentinelUsername=` and `sentinelPassword=`. User and password are percent-encoded (RFC 3986, section 2.1).
 * @throws PopfleetError `bad-config` whose message says what is wrong with the text, and repeats no part of it: it goes on
 *   from the name of the setting (`REDIS_URL: must …`)
 */
export function readRedisUrl(text: string): RedisAddress {
  const trimmed = text.trim();
  return trimmed.startsWith('/') ? readSocket(trimmed) : readUrl(trimmed);
}

/** The address of one node of a cluster. */
export function addressOfNode(address: RedisAddress, { host, port }: NodeAddress): RedisAddress {
  const { cluster: _, ...access } = address;
  return { ...access, host, port };
}

/** What is wrong with an address of Redis, to follow the name of its setting; `undefined` when nothing is. */
export function faultOfRedisUrl(text: string): string | undefined {
  try {
    readRedisUrl(text);
    return undefined;
  } catch (error) {
    return (error as PopfleetError).message;
  }
}

function readSocket(text: string): RedisAddress {
  const { path = text, query } = SOCKET_PARTS.exec(text)?.groups ?? {};
  const { db, username, password } = readOptions(query, ['db', 'username', 'password']);
  return {
    path,
    db: readDatabase(db),
    ...(username === undefined ? {} : { username: decode(username) }),
    ...(password === undefined ? {} : { password: decode(password) }),
  };
}

function readUrl(text: string): RedisAddress {
  if (!/^rediss?(?:\+sentinel|\+cluster)?:\/\/./i.test(text)) {
    throw fault(
      'must begin with redis://, redis+sentinel:// or redis+cluster://, each with rediss for TLS, or with / (a unix socket)',
    );
  }
  if (/[\s\p{Cc}]/u.test(text)) throw fault('has white space in it: write it as %20');
  const at = text.indexOf('@');
  const isInPassword = at !== text.lastIndexOf('@') || /[/?#].*@/.test(text.slice(text.indexOf('//') + 2));
  if (isInPassword) {
    throw fault('is not a valid URL: in user and password write @, /, ? and # as %40, %2F, %3F and %23');
  }
  if (/^rediss?:/i.test(text)) return readServer(text);
  return /^rediss?\+sentinel:/i.test(text) ? readSentinels(text) : readCluster(text);
}

function readServer(text: string): RedisAddress {
  const parts = URL_PARTS.exec(text)?.groups;
  if (!parts) {
    throw fault('is not a valid URL: write redis://user:password@host:port/database');
  }
  const options = readOptions(parts['query'], ['db']);
  return { ...readHost(parts, DEFAULT_PORT), ...readAccess(parts, options['db']) };
}

function readSentinels(text: string): RedisAddress {
  const parts = SENTINEL_PARTS.exec(text)?.groups;
  const hosts = readHosts(parts?.['hosts'], DEFAULT_SENTINEL_PORT);
  if (!parts || !hosts) {
    throw fault(
      'is not a valid URL: write redis+sentinel://user:password@host1:port,host2:port/name/database',
    );
  }
  const { name, query } = parts;
  if (name === undefined) {
    throw fault(
      'does not say which primary: write the name that the Sentinels have for it, redis+sentinel://host1,host2/name',
    );
  }
  const { db, sentinelUsername, sentinelPassword } = readOptions(query, [
    'db',
    'sentinelUsername',
    'sentinelPassword',
  ]);
  return {
    sentinels: hosts,
    name,
    ...(sentinelUsername === undefined ? {} : { sentinelUsername: decode(sentinelUsername) }),
    ...(sentinelPassword === undefined ? {} : { sentinelPassword: decode(sentinelPassword) }),
    ...readAccess(parts, db),
  };
}

function readCluster(text: string): RedisAddress {
  const parts = CLUSTER_PARTS.exec(text)?.groups;
  const cluster = readHosts(parts?.['hosts'], DEFAULT_PORT);
  if (!parts || !cluster) {
    throw fault('is not a valid URL: write redis+cluster://user:password@host1:port,host2:port');
  }
  if (parts['db']) {
    throw fault('must not name a database: a Redis Cluster has none but 0, redis+cluster://host1,host2');
  }
  return { cluster, ...readAccess(parts, undefined) };
}

type Parts = Readonly<Record<string, string | undefined>>;

/** @returns `undefined` when one of them is no host */
function readHosts(text: string | undefined, defaultPort: number): NodeAddress[] | undefined {
  const hosts = text?.split(',').map((host) => HOST_PARTS.exec(host)?.groups);
  if (!hosts?.every((host) => host !== undefined)) return undefined;
  return hosts.map((host) => readHost(host, defaultPort));
}

function readHost({ host = '', port }: Parts, defaultPort: number): NodeAddress {
  return {
    host: host.replace(/^\[(.*)\]$/, '$1'),
    port: port === undefined ? defaultPort : readPort(port),
  };
}

/** @param db of the options; the one of the path goes before it */
function readAccess(
  parts: Parts,
  db: string | undefined,
): Pick<RedisAddress, 'username' | 'password' | 'db' | 'tls'> {
  const { scheme = '', user = '', password } = parts;
  if (user !== '' && password === undefined)
    throw fault('names a user without a password: write user:password@');
  return {
    ...(user === '' ? {} : { username: decode(user) }),
    ...(password === undefined || (user === '' && password === '') ? {} : { password: decode(password) }),
    db: readDatabase(parts['db'] || db),
    ...(scheme.toLowerCase() === 'rediss' ? { tls: {} } : {}),
  };
}

function readPort(digits: string): number {
  const port = Number(digits);
  if (port < 1 || port > 65_535) throw fault('must have a port from 1 to 65535');
  return port;
}

function readDatabase(digits: string | undefined): number {
  if (digits === undefined) return 0;
  const db = /^\d{1,10}$/.test(digits) ? Number(digits) : MOST_DATABASES;
  if (db >= MOST_DATABASES)
    throw fault('must name the database by a whole number, such as redis://host:6379/1');
  return db;
}

/** @param known names that may stand there, each once */
function readOptions(query: string | undefined, known: readonly string[]): Readonly<Record<string, string>> {
  const options = new Map<string, string>();
  for (const option of query ? query.split('&') : []) {
    const [name = '', ...value] = option.split('=');
    if (!known.includes(name) || options.has(name)) {
      throw fault(`may have no options behind the question mark but ${known.join(', ')}, each once`);
    }
    options.set(name, value.join('='));
  }
  return Object.fromEntries(options);
}

function decode(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    throw fault('has a % in the user or the password that begins no character: write it as %25');
  }
}

function fault(sentence: string): PopfleetError {
  return new PopfleetError('bad-config', sentence);
}
