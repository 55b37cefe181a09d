// Which server a command talks to, and with which key: by option, else by variable, else by the file of the user.

import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { decodeText } from './decode-text.ts';
import type { Terminal } from './terminal.ts';
import { UsageError } from './usage-error.ts';

interface GivenConnection {
  readonly url?: URL;
  /** File with the key alone, relative to the working folder. */
  readonly keyFile?: string;
}

interface Sourced<Value> {
  readonly value: Value;
  /** Where it was found, in words. */
  readonly from: string;
}

export interface FoundConnection {
  readonly url: Sourced<string>;
  /** `undefined` where no key was given. */
  readonly key: Sourced<string> | undefined;
  /** The file of the user, whether it is there or not. */
  readonly file: string;
}

const DEFAULT_URL = 'http://127.0.0.1:3000';

/** @throws UsageError when a file cannot be read, or an address is none */
export function findConnection(given: GivenConnection, env: Terminal['env']): FoundConnection {
  const file = join(
    env['XDG_CONFIG_HOME'] || join(env['HOME'] ?? homedir(), '.config'),
    'popfleet',
    'config.json',
  );
  const config = readConfigFile(file);
  const urls: Sourced<string | undefined>[] = [
    { value: given.url?.href, from: 'the option --url' },
    { value: env['POPFLEET_URL'], from: 'the variable POPFLEET_URL' },
    { value: config.url, from: file },
    { value: DEFAULT_URL, from: 'the default' },
  ];
  const url = urls.find(isGiven) as Sourced<string>;
  if (!/^https?:$/.test(URL.canParse(url.value) ? new URL(url.value).protocol : '')) {
    throw new UsageError(
      `The address from ${url.from} must be one of http or https, such as ${DEFAULT_URL}.`,
    );
  }
  return { url, key: findKey(given, env, config, file), file };
}

function findKey(
  { keyFile }: GivenConnection,
  env: Terminal['env'],
  config: ConfigFile,
  file: string,
): Sourced<string> | undefined {
  if (keyFile !== undefined) {
    return { value: readKeyFile(resolve(keyFile)), from: `the option --key-file (${keyFile})` };
  }
  const variable: Sourced<string | undefined> = {
    value: env['POPFLEET_KEY'],
    from: 'the variable POPFLEET_KEY',
  };
  if (isGiven(variable)) return variable as Sourced<string>;
  if (config.keyFile !== undefined) {
    return {
      value: readKeyFile(resolve(join(file, '..'), config.keyFile)),
      from: `${config.keyFile}, by ${file}`,
    };
  }
  return config.key === undefined ? undefined : { value: config.key, from: file };
}

function isGiven({ value }: Sourced<string | undefined>): boolean {
  return value !== undefined && value !== '';
}

interface ConfigFile {
  readonly url?: string;
  readonly key?: string;
  readonly keyFile?: string;
}

/** Empty when there is no such file. */
function readConfigFile(file: string): ConfigFile {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    if (
      (error as NodeJS.ErrnoException).code === 'ENOENT' ||
      (error as NodeJS.ErrnoException).code === 'ENOTDIR'
    )
      return {};
    throw unreadable(file, error);
  }
  const value = parse(decodeText(bytes, file));
  const isRight = (name: string): boolean => ['url', 'key', 'keyFile'].includes(name);
  if (
    typeof value !== 'object' ||
    value === null ||
    Array.isArray(value) ||
    !Object.keys(value).every(isRight)
  ) {
    throw new UsageError(`${file} must be a JSON object with nothing but "url", "key" and "keyFile".`);
  }
  if (!Object.values(value).every((one) => typeof one === 'string')) {
    throw new UsageError(`${file} must have texts for "url", "key" and "keyFile".`);
  }
  return value;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function readKeyFile(file: string): string {
  let key: string;
  try {
    key = readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw unreadable(file, error);
  }
  if (!/^[\x21-\x7e]+$/.test(key))
    throw new UsageError(`${file} must have the key, and nothing else, in one line.`);
  return key;
}

function unreadable(file: string, error: unknown): UsageError {
  return new UsageError(
    `${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)}).`,
  );
}
