// A call of a script as it goes over the wire. ioredis would write each key and each argument as a buffer of its own: a call
// declares some twenty keys, which are the same each time, and writing them so took a tenth of the time of a call.

import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { Command, type Redis } from './ioredis.ts';

/** Bytes must be Buffers: text is UTF-8. */
export type ScriptArgument = string | number | Buffer;

/** Prefixes whose keys are kept as they are written. */
const HEADS_KEPT = 1_000;

/** A script as connections know it. */
export class CallableScript {
  readonly lua: string;
  readonly digest: string;
  /** Of the keys that it declares, behind the prefix of their place. */
  readonly keys: readonly string[];
  /** Sockets whose server has the script: it is sent whole once, then by its digest. */
  readonly loaded = new WeakSet<object>();
  /** Made at the first call: a connection knows some fifty scripts and calls a few of them. */
  #heads: LRUCache<string, string> | undefined;

  constructor(lua: string, keys: readonly string[]) {
    this.lua = lua;
    this.digest = createHash('sha1').update(lua).digest('hex');
    this.keys = keys;
  }

  /** The number of keys and the keys, as RESP writes them. */
  headOf(prefix: string): string {
    this.#heads ??= new LRUCache({ max: HEADS_KEPT, memoMethod: (one) => this.#head(one) });
    return this.#heads.memo(prefix);
  }

  #head(prefix: string): string {
    return [String(this.keys.length), ...this.keys.map((key) => prefix + key)].map(bulk).join('');
  }
}

/**
 * Sends a call. Every reply text comes as a Buffer, because results and messages are bytes.
 * @param prefix of the place whose keys it gets
 * @param onWritten called with the socket that it goes over, once more when it is sent again
 */
export async function callScript(
  client: Redis,
  script: CallableScript,
  prefix: string,
  args: readonly ScriptArgument[],
  onWritten?: (socket: object) => void,
): Promise<unknown> {
  try {
    return await client.sendCommand(new ScriptCommand(script, prefix, args, onWritten));
  } catch (error) {
    // The server was restarted, or its scripts were flushed, behind the same connection.
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
    return client.sendCommand(new ScriptCommand(script, prefix, args, onWritten));
  }
}

class ScriptCommand extends Command {
  readonly #script: CallableScript;
  readonly #prefix: string;
  readonly #args: readonly ScriptArgument[];
  readonly #onWritten: ((socket: object) => void) | undefined;

  constructor(
    script: CallableScript,
    prefix: string,
    args: readonly ScriptArgument[],
    onWritten?: (socket: object) => void,
  ) {
    // What it is written from stands here, not in the list of ioredis. `null`: replies are bytes.
    super('evalsha', [], { replyEncoding: null });
    this.#script = script;
    this.#prefix = prefix;
    this.#args = args;
    this.#onWritten = onWritten;
  }

  /** What tells a cluster where it goes: all keys of a place have the same slot. */
  override getKeys(): string[] {
    return [this.#prefix];
  }

  override toWritable(socket: object): string | Buffer {
    this.#onWritten?.(socket);
    const { lua, digest, loaded, keys } = this.#script;
    const isLoaded = loaded.has(socket);
    loaded.add(socket);
    const reject = this.reject;
    this.reject = (error: Error) => {
      if (error.message.startsWith('NOSCRIPT')) loaded.delete(socket);
      reject.call(this, error);
    };
    const count = `*${3 + keys.length + this.#args.length}\r\n`;
    const name = isLoaded ? bulk('evalsha') + bulk(digest) : bulk('eval') + bulk(lua);
    return writeArguments(count + name + this.#script.headOf(this.#prefix), this.#args);
  }
}

/** One text of a request (RESP: a bulk string). */
function bulk(text: string): string {
  return `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
}

/** Texts that follow each other become one buffer. */
function writeArguments(head: string, args: readonly ScriptArgument[]): string | Buffer {
  const parts: Buffer[] = [];
  let text = head;
  for (const arg of args) {
    if (typeof arg === 'string') text += bulk(arg);
    else if (typeof arg === 'number') text += bulk(String(arg));
    else {
      parts.push(Buffer.from(`${text}$${arg.length}\r\n`), arg);
      text = '\r\n';
    }
  }
  if (parts.length === 0) return text;
  parts.push(Buffer.from(text));
  return Buffer.concat(parts);
}
