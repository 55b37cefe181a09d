// How the texts of variables are read: schemas from a text to a value, whose messages follow the name of the variable.

import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { LOG_FORMATS, LOG_LEVELS } from '../log.ts';
import { QUEUE_NAME } from '../protocol/names.ts';
import { WEBHOOK_QUEUE } from '../protocol/webhook.ts';
import { type ApiKey, readApiKeys } from '../server/auth/api-keys.ts';
import { faultOfRedisUrl } from '../store/redis-url.ts';
import { readAllowed } from '../webhooks/allow.ts';

export function wholeNumber(min: number, max: number) {
  const message = `must be a whole number from ${min} to ${max}`;
  return v.pipe(
    v.string(),
    v.regex(/^\d{1,15}$/, message),
    v.transform(Number),
    v.minValue(min, message),
    v.maxValue(max, message),
  );
}

export function integer(min: number, max: number, fallback: number) {
  return v.optional(wholeNumber(min, max), String(fallback));
}

export const role = v.picklist(
  ['server', 'worker', 'all'],
  (issue) => `${String(issue.input)} app type not supported`,
);

export const logLevel = v.picklist(LOG_LEVELS, 'must be trace, debug, info, warn, error, fatal or silent');
export const logFormat = v.picklist(LOG_FORMATS, 'must be auto, json or pretty');

export const folder = v.pipe(v.string(), v.nonEmpty('must name a folder'));

export const list = v.pipe(
  v.string(),
  v.transform((text) =>
    text
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== ''),
  ),
);

export const queueNames = v.pipe(
  list,
  v.minLength(1, 'must name at least one queue'),
  v.everyItem((queue) => QUEUE_NAME.test(queue), `must be queue names that match ${QUEUE_NAME.source}`),
  v.everyItem(
    (queue) => queue !== WEBHOOK_QUEUE,
    `must not name ${WEBHOOK_QUEUE}: servers deliver webhooks (WEBHOOK_CONCURRENCY)`,
  ),
  v.transform((queues): readonly string[] => [...new Set(queues)]),
);

export const allowedReceivers = v.pipe(
  list,
  v.rawCheck(({ dataset, addIssue }) => {
    const allowed = dataset.typed ? readAllowed(dataset.value) : undefined;
    if (typeof allowed === 'string') addIssue({ message: allowed });
  }),
);

export const flag = v.pipe(
  v.picklist(['1', 'true', '0', 'false'], 'must be 1, true, 0 or false'),
  v.transform((text) => text === '1' || text === 'true'),
);

export const redisUrl = v.pipe(
  v.string(),
  v.check(
    (url) => faultOfRedisUrl(url) === undefined,
    (issue) => faultOfRedisUrl(issue.input) ?? '',
  ),
);

/** Without brackets: those belong to an IPv6 address within a URL only. */
export const listenAddress = v.pipe(
  v.string(),
  v.transform((text) => text.trim().replace(/^\[(.*)\]$/, '$1')),
  v.nonEmpty('must name an address'),
);

/** It stands within a text of JSON, among others with blanks between. */
export const codeVersion = v.pipe(
  v.string(),
  v.regex(/^[\w.+-]{1,64}$/, 'must be 1 to 64 letters, digits, and characters of _.+-'),
);

export const quota = v.pipe(
  v.string(),
  v.regex(
    /^[1-9]\d{0,8}\/[1-9]\d{0,4}$/,
    'must be <tasks>/<seconds>, such as 1000/60: 1 to 999999999 tasks in 1 to 99999 seconds',
  ),
  v.transform((text) => {
    const [tasks = 0, seconds = 0] = text.split('/').map(Number);
    return { tasks, seconds };
  }),
);

export const apiKeys = keysIn((text) => text);
export const apiKeyFile = keysIn((path) => readFileSync(path, 'utf8'));

/** The text of a file in the format PEM (RFC 7468). @param label of what has to be in it, such as `CERTIFICATE` */
export function pemFile(label: string) {
  return v.pipe(
    v.string(),
    textIn((path) => readFileSync(path, 'utf8')),
    v.check(
      (text) => new RegExp(`^-----BEGIN (?:[A-Z]+ )*${label}-----`, 'm').test(text),
      `must name a PEM file with a ${label.toLowerCase()}`,
    ),
  );
}

function textIn(read: (value: string) => string) {
  return v.rawTransform<string, string>(({ dataset, addIssue, NEVER }) => {
    try {
      return read(dataset.value);
    } catch (error) {
      addIssue({ message: `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown fault'})` });
      return NEVER;
    }
  });
}

/** @param read returns the text with the entries for the value of the variable */
function keysIn(read: (value: string) => string) {
  return v.pipe(
    v.string(),
    textIn(read),
    v.rawTransform(({ dataset, addIssue, NEVER }): readonly ApiKey[] => {
      const { keys, faults } = readApiKeys(dataset.value);
      for (const message of faults) addIssue({ message });
      return faults.length > 0 ? NEVER : keys;
    }),
  );
}

export const httpUrl = v.pipe(
  v.string(),
  v.check(
    isHttpUrl,
    'must be like https://tasks.example.org or https://example.org/tasks, without a query or credentials',
  ),
  v.check(
    (text) => !isHttpUrl(text) || !/^\/+(?:v1|docs|problems)(?:\/|$)/.test(new URL(text).pathname),
    'must not have a path that begins like one of the server (v1, docs, problems)',
  ),
  v.transform((text) => text.replace(/\/+$/, '')),
);

/** The path is written into headers and pages as it is, so it may have no characters that need an escape. */
function isHttpUrl(text: string): boolean {
  if (!/^https?:\/\//.test(text) || !URL.canParse(text)) return false;
  const { origin, pathname } = new URL(text);
  const written = text.replace(/\/+$/, '');
  return written === `${origin}${pathname}`.replace(/\/+$/, '') && /^(?:\/[\w.~-]+)*\/*$/.test(pathname);
}

export const httpOrigins = v.pipe(
  v.string(),
  v.transform((text) => text.split(',').map((origin) => origin.trim())),
  v.everyItem(isHttpOrigin, 'must be origins like https://app.example.org, without a path'),
);

function isHttpOrigin(text: string): boolean {
  return /^https?:/.test(text) && URL.canParse(text) && new URL(text).origin === text;
}
