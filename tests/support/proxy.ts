// A TCP proxy between the program and Redis that understands enough RESP to break it between any two steps.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { isNull, isPush, readRequest, takeValue } from './resp.ts';

/** A command in upper case, or a script by its name in scripts.ts. */
type CallName = string;

export interface RedisProxy {
  readonly url: string;
  readonly port: number;
  /** How many calls of this name were sent through it so far. */
  calls(name: CallName): number;
  /**
   * Lets the k-th call from now on run, keeps its reply and resets the connection. Calls that answer null (a BRPOP
   * whose time passed) do not count: nothing gets lost with them. Resolves once it is done.
   */
  loseReply(name: CallName, k: number): Promise<void>;
  /** Keeps the next call of this name from Redis, and all behind it on its connection. */
  hold(name: CallName): Hold;
  /** What connects from now on is led to another Redis; what is connected stays where it is. */
  leadTo(port: number): void;
  /** Half-open: what is connected now carries nothing any more, in either direction, and stays connected. */
  silence(): void;
  close(): Promise<void>;
}

export interface WayToProxy {
  readonly url: string;
  /** Of a cluster: the ports of nodes, and those of their proxies. */
  readonly ports?: ReadonlyMap<number, number>;
}

interface Hold {
  /** Resolves once the call is held. */
  readonly held: Promise<void>;
  /** Sends it on, as a packet that was late: also when the caller has closed its connection meanwhile. */
  release(): void;
}

interface Link {
  readonly client: Socket;
  readonly redis: Socket;
  /** Calls that Redis has not answered yet. */
  readonly unanswered: CallName[];
  sent: Buffer;
  answered: Buffer;
  held: boolean;
  silent: boolean;
}

interface Wanted {
  readonly name: CallName;
  left: number;
  readonly done: () => void;
}

const NOTHING = Buffer.alloc(0);
/** Their answers are pushes, so that no reply belongs to them. */
const SUBSCRIBING = new Set(['SUBSCRIBE', 'UNSUBSCRIBE']);

/** @param wayTo how clients find what listens on a port: at `redis://` of it unless told */
export async function startProxy(
  redisPort: number,
  wayTo = async (at: number): Promise<WayToProxy> => ({ url: `redis://127.0.0.1:${at}` }),
): Promise<RedisProxy> {
  let port = redisPort;
  const scripts = await scriptsByDigest();
  const counts = new Map<CallName, number>();
  const links = new Set<Link>();
  let losing: Wanted | undefined;
  let holding: { readonly name: CallName; readonly done: (link: Link) => void } | undefined;

  function forwardRequests(link: Link, bytes: Buffer): void {
    link.sent = Buffer.concat([link.sent, bytes]);
    while (!link.held && !link.silent) {
      const request = takeValue(link.sent);
      if (!request) return;
      const name = nameOf(readRequest(request.value), scripts);
      if (holding?.name === name) {
        link.held = true;
        holding.done(link);
        holding = undefined;
        return;
      }
      link.sent = request.rest;
      counts.set(name, (counts.get(name) ?? 0) + 1);
      if (!SUBSCRIBING.has(name)) link.unanswered.push(name);
      link.redis.write(request.value);
    }
  }

  function forwardReplies(link: Link, bytes: Buffer): void {
    link.answered = Buffer.concat([link.answered, bytes]);
    while (!link.silent) {
      const reply = takeValue(link.answered);
      if (!reply) return;
      link.answered = reply.rest;
      const name = isPush(reply.value) ? undefined : link.unanswered.shift();
      if (name !== undefined && losing?.name === name && !isNull(reply.value)) {
        losing.left -= 1;
        if (losing.left === 0) {
          reset(link);
          losing.done();
          losing = undefined;
          return;
        }
      }
      link.client.write(name === 'CLUSTER' ? withPorts(reply.value) : reply.value);
    }
  }

  /** A node of a cluster says where all nodes are: its clients shall come back through their proxies. */
  function withPorts(slots: Buffer): Buffer {
    const text = slots.toString('latin1');
    return Buffer.from(
      text.replace(/:(\d+)\r\n/g, (all, from) => {
        const to = way.ports?.get(Number(from));
        return to === undefined ? all : `:${to}\r\n`;
      }),
      'latin1',
    );
  }

  function reset(link: Link): void {
    link.silent = true;
    link.client.resetAndDestroy();
    link.redis.destroy();
  }

  const server = createServer({ noDelay: true }, (client) => {
    const redis = connect({ port, host: '127.0.0.1', noDelay: true });
    const link: Link = {
      client,
      redis,
      unanswered: [],
      sent: NOTHING,
      answered: NOTHING,
      held: false,
      silent: false,
    };
    links.add(link);
    client.on('data', (bytes) => forwardRequests(link, bytes));
    redis.on('data', (bytes) => forwardReplies(link, bytes));
    client
      .on('error', () => undefined)
      .on('close', () => {
        if (!link.held && !link.silent) redis.destroy();
      });
    redis
      .on('error', () => undefined)
      .on('close', () => {
        if (!link.silent) client.destroy();
      });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const ownPort = (server.address() as AddressInfo).port;
  const way = await wayTo(ownPort);

  return {
    url: way.url,
    port: ownPort,
    calls: (name) => counts.get(name) ?? 0,

    loseReply: (name, k) =>
      new Promise((done) => {
        losing = { name, left: k, done };
      }),

    hold(name) {
      let caught: Link | undefined;
      const held = new Promise<void>((resolve) => {
        const done = (link: Link): void => {
          caught = link;
          resolve();
        };
        holding = { name, done };
      });
      return {
        held,
        release() {
          if (!caught) throw new Error(`no ${name} was held`);
          caught.held = false;
          forwardRequests(caught, NOTHING);
        },
      };
    },

    leadTo(other) {
      port = other;
    },

    silence() {
      for (const link of links) link.silent = true;
    },

    async close() {
      server.close();
      for (const { client, redis } of links) {
        client.destroy();
        redis.destroy();
      }
      await once(server, 'close');
    },
  };
}

function nameOf(words: readonly string[], scripts: ReadonlyMap<string, CallName>): CallName {
  const [command = '', first = ''] = words;
  const upper = command.toUpperCase();
  const digest = upper === 'EVAL' ? sha1(first) : upper === 'EVALSHA' ? first : '';
  return scripts.get(digest) ?? upper;
}

/** A script is sent whole the first time on a connection, and by its SHA-1 from then on. */
async function scriptsByDigest(): Promise<ReadonlyMap<string, CallName>> {
  // Those of the build, which is the program that runs: src may be ahead of it.
  const built = new URL('../../dist/store/scripts.js', import.meta.url).href;
  const { buildScripts } = (await import(built)) as typeof import('../../src/store/scripts.ts');
  return new Map(Object.entries(buildScripts()).map(([name, { lua }]) => [sha1(lua), name]));
}

function sha1(text: string): string {
  return createHash('sha1').update(text).digest('hex');
}
