// Calls over one connection that wait, each, until Redis has more than its memory has. They go in rounds: all that have come meanwhile
// are sent together, and one wait stands for them.

import type { Redis } from 'ioredis';
import type { Durability } from '../protocol/options.ts';
import { ClusterClient } from './cluster.ts';
import { type Place, prefixOf } from './keys.ts';
import { faultOf, isOutage, UnusableRedis } from './store-error.ts';

/** How a level is reached on the server that a connection leads to. */
export interface Way {
  /** @throws PopfleetError `invalid-input` when that server never reaches it */
  demand(server: Redis): Promise<void>;
  /** Waits for all writes of this connection. @returns what was reached in time */
  wait(server: Redis): Promise<Durability>;
}

/** A call, and what it was written on when its reply has come. */
type SendOn = (onWritten: (socket: object) => void) => Promise<unknown>;

export interface Rounds {
  /** @throws PopfleetError `invalid-input` when the server of this place never reaches the level */
  demand(place: Place): Promise<void>;
  /** @returns the reply of a call, and how far it had come in time */
  run(place: Place, send: SendOn): Promise<{ readonly reply: unknown; readonly reached: Durability }>;
}

/** A call that waits for its round. */
interface Member {
  readonly send: SendOn;
  readonly resolve: (done: { readonly reply: unknown; readonly reached: Durability }) => void;
  readonly reject: (error: unknown) => void;
}

/** @param client has no other calls: what is sent behind a wait waits too */
export function createRounds(client: Redis, way: Way): Rounds {
  /** Calls that wait, by the connection that they would go over; it is there as long as a round is under way. */
  const waiting = new Map<Redis, Member[]>();

  /** A connection that broke after the write says nothing of it. */
  async function waitOn(socket: object | undefined): Promise<Durability> {
    const server = socket && connectionWith(client, socket);
    if (!server) throw new UnusableRedis('unreachable', 'the connection broke before the level was reached');
    try {
      return await way.wait(server);
    } catch (error) {
      if (isOfReplica(error)) throw new UnusableRedis('readonly', (error as Error).message);
      if (isOutage(error)) throw error;
      // Redis has the task, and does not let this user wait (`NOPERM`), or has no time for anybody just now.
      const fault = faultOf(error);
      if (fault === 'not permitted' || fault === 'busy') return 'memory';
      throw error;
    }
  }

  async function runRound(server: Redis, members: readonly Member[]): Promise<void> {
    try {
      await way.demand(server);
    } catch (error) {
      for (const { reject } of members) reject(error);
      return;
    }
    const sockets = new Map<Member, object>();
    const sent = await Promise.allSettled(
      members.map((member) => member.send((socket) => sockets.set(member, socket))),
    );
    const waits = new Map<object | undefined, Promise<Durability>>();
    const settling = members.map(async (member, at) => {
      const one = sent[at] as PromiseSettledResult<unknown>;
      if (one.status === 'rejected') return member.reject(one.reason);
      const socket = sockets.get(member);
      const wait = waits.get(socket) ?? waitOn(socket);
      waits.set(socket, wait);
      return wait.then((reached) => member.resolve({ reply: one.value, reached }), member.reject);
    });
    await Promise.all(settling);
  }

  async function runRounds(server: Redis): Promise<void> {
    for (let members = waiting.get(server) ?? []; members.length > 0; ) {
      waiting.set(server, []);
      await runRound(server, members);
      members = waiting.get(server) ?? [];
    }
    waiting.delete(server);
  }

  return {
    demand: (place) => way.demand(connectionFor(client, place)),

    run: (place, send) =>
      new Promise((resolve, reject) => {
        const server = connectionFor(client, place);
        const member = { send, resolve, reject };
        const members = waiting.get(server);
        if (members) members.push(member);
        else {
          waiting.set(server, [member]);
          void runRounds(server);
        }
      }),
  };
}

/** The connection over which calls of a place go, as far as is known. */
function connectionFor(client: Redis, place: Place): Redis {
  return (client instanceof ClusterClient && client.nodeOf(prefixOf(place))?.client) || client;
}

/** The connection that has this socket, as long as it has. */
function connectionWith(client: Redis, socket: object): Redis | undefined {
  if (client instanceof ClusterClient) return client.nodeWith(socket);
  return client.stream === socket ? client : undefined;
}

/** The server was a primary when it was written to, and is none any more: what it had not passed on is lost. */
export function isOfReplica(error: unknown): boolean {
  return error instanceof Error && /cannot be used with replica/i.test(error.message);
}
