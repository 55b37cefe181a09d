// The `key` subcommand: makes an API key.

import { type Command, InvalidArgumentError } from 'commander';
import { QUEUE_NAME } from './protocol/names.ts';
import { createKey, isScope } from './server/auth/api-keys.ts';
import { SCOPES, type Scope } from './server/caller.ts';

interface KeyOptions {
  readonly scopes: readonly Scope[];
  readonly queues?: readonly string[];
}

const SCOPES_BY_DEFAULT: readonly Scope[] = ['enqueue', 'read'];

/** Makes a command what `key` is. It prints the key and its entry for `API_KEYS`, one labelled line each. */
export function addKeyCommand(command: Command): void {
  command
    .description('Make an API key, and the entry for API_KEYS that lets a server know it')
    .option('--scopes <names>', `what it may do: ${SCOPES.join(', ')}`, parseScopes, SCOPES_BY_DEFAULT)
    .option('--queues <names>', 'the only queues it knows (all)', parseQueues)
    .action(({ scopes, queues }: KeyOptions) => {
      const { key, entry } = createKey(scopes, queues);
      process.stdout.write(`key: ${key}\nAPI_KEYS: ${entry}\n`);
      process.stderr.write(
        'The key is shown this once: keep it now. Servers get only the entry, in API_KEYS or in the file that\n' +
          'API_KEYS_FILE names, beside those that are there, and read it when they start.\n',
      );
    });
}

function parseScopes(text: string): Scope[] {
  const scopes = split(text);
  if (scopes.length > 0 && scopes.every(isScope)) return scopes;
  throw new InvalidArgumentError(`It must name scopes out of ${SCOPES.join(', ')}, separated by commas.`);
}

function parseQueues(text: string): string[] {
  const queues = split(text);
  if (queues.length > 0 && queues.every((queue) => QUEUE_NAME.test(queue))) return queues;
  throw new InvalidArgumentError(`It must name queues that match ${QUEUE_NAME.source}, separated by commas.`);
}

function split(text: string): string[] {
  return [...new Set(text.split(',').map((item) => item.trim()))].filter((item) => item !== '');
}
