// A client of a cluster for tests of the scripts: it sends each command to the node that it knows, and again as long as the cluster
// refuses it.

import { Command, Redis } from 'ioredis';
import type { ScriptSource } from '../../src/store/resolve-names.ts';
import { defineScripts, type ScriptName } from '../../src/store/scripts.ts';
import type { TestRedis } from './redis.ts';

/** How a cluster refuses a command that it did not run. */
const REFUSED = /^(?:-|ERR )?(MOVED|ASK|TRYAGAIN|CLUSTERDOWN)\b(?: \d+ \S*:(\d+))?/;
export type Refusal = 'MOVED' | 'ASK' | 'TRYAGAIN' | 'CLUSTERDOWN';
const AGAIN_AFTER_MS = 3;
const GIVE_UP_AFTER_MS = 30_000;

/** What one or more clients have seen. */
export class Sightings {
  readonly refused: Record<Refusal, number> = { MOVED: 0, ASK: 0, TRYAGAIN: 0, CLUSTERDOWN: 0 };
  /** Commands that were refused at least once, and ran in the end. */
  repeated = 0;
  /** Those that were refused, and have not run yet. */
  waiting = 0;
  /** Longest time without any script call that succeeded, in milliseconds; set to 0 to measure anew. */
  longestStopMs = 0;
  #succeededAt = performance.now();

  refusals(): number {
    return Object.values(this.refused).reduce((sum, count) => sum + count, 0);
  }

  ran(): void {
    this.repeated += 1;
    this.waiting -= 1;
  }

  scriptSucceeded(): void {
    const now = performance.now();
    this.longestStopMs = Math.max(this.longestStopMs, now - this.#succeededAt);
    this.#succeededAt = now;
  }
}

/** Looks like any other client to the store. `connectAll` before the first command, `disconnectAll` behind the last. */
export class RedirectedClient extends Redis {
  readonly #nodes = new Map<number, Redis>();
  /** The node that served it last, by the first key of a command; scripts tell none. */
  readonly #owners = new Map<string, number>();
  readonly #sightings: Sightings;

  constructor(nodes: readonly TestRedis[], scripts: Record<ScriptName, ScriptSource>, sightings: Sightings) {
    super({ lazyConnect: true });
    this.#sightings = sightings;
    for (const { port } of nodes)
      this.#nodes.set(port, new Redis({ port, lazyConnect: true, disableClientInfo: true }));
    defineScripts(this, scripts);
  }

  async connectAll(): Promise<this> {
    await Promise.all([...this.#nodes.values()].map((node) => node.connect()));
    return this;
  }

  disconnectAll(): void {
    for (const node of this.#nodes.values()) node.disconnect();
  }

  override sendCommand(command: Command): Promise<unknown> {
    // Its `reject` is replaced while it is sent.
    this.#send(command).then(command.resolve, (error: Error) => command.reject(error));
    return command.promise;
  }

  async #send(command: Command): Promise<unknown> {
    const label = String(command.getKeys()[0] ?? '');
    const giveUpAt = performance.now() + GIVE_UP_AFTER_MS;
    let port = this.#owners.get(label) ?? [...this.#nodes.keys()][0] ?? 0;
    let isAsking = false;
    for (let tries = 1; ; tries += 1) {
      try {
        const reply = await this.#try(port, command, isAsking);
        if (tries > 1) this.#sightings.ran();
        if (command.name === 'evalsha') this.#sightings.scriptSucceeded();
        return reply;
      } catch (error) {
        const [, word, other] = REFUSED.exec((error as Error).message) ?? [];
        if (word === undefined || performance.now() > giveUpAt) {
          // The node took it, but has to be told the script: the caller sends it as another command.
          if (tries > 1 && (error as Error).message.startsWith('NOSCRIPT')) this.#sightings.ran();
          throw error;
        }
        if (tries === 1) this.#sightings.waiting += 1;
        this.#sightings.refused[word as Refusal] += 1;
        isAsking = word === 'ASK';
        if (word === 'MOVED') this.#owners.set(label, Number(other));
        if (other === undefined) await new Promise((resolve) => setTimeout(resolve, AGAIN_AFTER_MS));
        port = isAsking ? Number(other) : (this.#owners.get(label) ?? port);
      }
    }
  }

  async #try(port: number, command: Command, isAsking: boolean): Promise<unknown> {
    const node = this.#nodes.get(port);
    if (!node) throw new Error(`there is no node at port ${port}`);
    const [, reply] = await Promise.all([
      isAsking ? node.asking() : undefined,
      node.sendCommand(new Attempt(command)) as Promise<unknown>,
    ]);
    return reply;
  }
}

/** One time that a command is sent. The reply stays as it comes: the command itself reads it. */
class Attempt extends Command {
  readonly #command: Command;

  constructor(command: Command) {
    super(command.name, [], { replyEncoding: null });
    this.#command = command;
  }

  override toWritable(socket: object): string | Buffer {
    return this.#command.toWritable(socket);
  }

  override transformReply(reply: Buffer): Buffer {
    return reply;
  }
}
