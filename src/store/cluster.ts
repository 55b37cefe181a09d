// A Redis Cluster as one client: each command goes to the node that serves the slot of its keys. ioredis has such a client, but it
// queues, repeats and hides what callers here have to know: a command that was not sent fails at once, and one without a reply is never
// sent again. What a node refuses was not run, so it goes to the other node, or there again in a moment.

import type { Command } from 'ioredis';
import { delay, retryDelayMs, within } from '../lifecycle.ts';
import {
  type ClusterMap,
  type Moved,
  noOwners,
  nodeName,
  type Refusal,
  readClusterSlots,
  readRefusal,
} from './cluster-slots.ts';
import { NOT_PERMITTED, THROWN_AWAY } from './connection-events.ts';
import { Command as RedisCommand, Redis } from './ioredis.ts';
import { QUEUES_KEY } from './keys.ts';
import type { NodeAddress } from './redis-url.ts';
import { isUsable, waitUntilReady } from './when-ready.ts';

export interface ClusterDeps {
  /** Some nodes, by which the others are found. */
  readonly seeds: readonly NodeAddress[];
  /** Makes the connection to a node, which comes back by itself. */
  readonly openNode: (address: NodeAddress) => Redis;
  /** Asks a node to which there is none. @returns the reply to `CLUSTER SLOTS` */
  readonly askSlots: (address: NodeAddress) => Promise<readonly unknown[]>;
  /** What was found when the nodes were asked; an error when none of them could say. */
  readonly onLook: (error: Error | undefined) => void;
  /** Milliseconds for which a command that is refused is sent again. */
  readonly giveUpMs: number;
}

interface Node {
  readonly address: NodeAddress;
  readonly client: Redis;
  /** It serves slots, as far as is known; the others are about to. */
  isPrimary: boolean;
}

/** A node that is known and does not answer is not waited for longer. */
const ASK_WITHIN_MS = 1_000;
const LOOK_FIRST_MS = 50;
const LOOK_CAP_MS = 1_000;
/** Each refusal tells where its slot is, so the whole is looked up now and then only. */
const LOOK_EVERY_MS = 500;
const AGAIN_FIRST_MS = 5;
const AGAIN_CAP_MS = 100;
/** As ioredis says of a command that it has not sent (`isNotSent`). */
const NOT_SENT = "Stream isn't writeable and enableOfflineQueue options is false";
/** What has to be said to all nodes. */
const FOR_ALL: ReadonlySet<string> = new Set(['flushall']);

export class ClusterClient extends Redis {
  readonly #deps: ClusterDeps;
  readonly #nodes = new Map<string, Node>();
  readonly #closed = new AbortController();
  #owners = noOwners();
  #replicas: readonly NodeAddress[] = [];
  #isLooking = false;
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(deps: ClusterDeps) {
    super({ lazyConnect: true });
    this.setMaxListeners(0);
    this.#deps = deps;
    this.#look();
  }

  /** All slots are served, and all primaries can take commands. */
  isWhole(): boolean {
    return this.#owners.every((name) => name !== undefined) && this.primaries().every(isUsable);
  }

  /** Their connections, in no order. */
  primaries(): Redis[] {
    return [...this.#nodes.values()].filter(({ isPrimary }) => isPrimary).map(({ client }) => client);
  }

  /** Where the slot of a key is served, as far as is known. */
  nodeOf(key: string): { readonly address: NodeAddress; readonly client: Redis } | undefined {
    return this.#nodes.get(this.#owners[slotOf(key)] ?? '');
  }

  /** The connection to a node that is known, by its name. */
  nodeNamed(name: string): Redis | undefined {
    return this.#nodes.get(name)?.client;
  }

  /** The connection that has this socket now. */
  nodeWith(socket: object): Redis | undefined {
    return [...this.#nodes.values()].find(({ client }) => client.stream === socket)?.client;
  }

  /** Somewhere to go: one of the nodes that answer, or one of those that the address names. */
  anyAddress(): NodeAddress {
    const usable = [...this.#nodes.values()].filter(({ client }) => isUsable(client));
    const from = usable.length > 0 ? usable.map(({ address }) => address) : this.#deps.seeds;
    return from[Math.floor(Math.random() * from.length)] as NodeAddress;
  }

  /** Takes what another connection was told by the node at `asked`. */
  learn(error: Error, asked: NodeAddress): void {
    const refusal = readRefusal(error, asked);
    if (refusal?.word === 'MOVED') this.#moved(refusal);
  }

  override sendCommand(command: Command): unknown {
    if (FOR_ALL.has(command.name)) this.#sendToAll(command);
    else this.#sendBySlot(command);
    return command.promise;
  }

  override disconnect(): void {
    this.#closed.abort();
    this.status = 'end';
    for (const { client } of this.#nodes.values()) client.disconnect();
    this.#nodes.clear();
    this.#owners = noOwners();
  }

  #sendToAll(command: Command): void {
    const all = this.primaries().map((node) => node.call(command.name));
    Promise.all(all).then(([reply]) => command.resolve(reply), command.reject);
  }

  #sendBySlot(command: Command): void {
    // What has no key is asked of one node, always the same.
    const slot = command.getSlot() ?? slotOf(QUEUES_KEY);
    const node = this.#nodes.get(this.#owners[slot] ?? '');
    if (!node) {
      this.#look();
      command.reject(new Error(NOT_SENT));
      return;
    }
    this.#sendAgain(command, slot, node);
    node.client.sendCommand(command);
  }

  /** Has a command sent again as long as it is refused: it has not run. @param asked the node that gets it first */
  #sendAgain(command: Command, slot: number, asked: Node): void {
    const giveUpAt = performance.now() + this.#deps.giveUpMs;
    const reject = command.reject;
    let from = asked;
    let tries = 0;
    const goOn = async (refusal: Refusal, refused: Error): Promise<void> => {
      tries += 1;
      const next = await this.#nextFor(refusal, slot, tries, giveUpAt);
      if (command.isSettled) return;
      if (!next) {
        reject.call(command, refused);
        return;
      }
      from = next;
      // In the same turn, so that they follow each other on the connection.
      if (refusal.word === 'ASK') next.client.asking().catch(() => undefined);
      next.client.sendCommand(command);
    };
    command.reject = (fault: Error) => {
      // One that has timed out may be refused later.
      const refusal = command.isSettled ? undefined : readRefusal(fault, from.address);
      if (refusal && performance.now() < giveUpAt) void goOn(refusal, fault);
      else reject.call(command, fault);
    };
  }

  /** Where a command goes that was refused, once it may be sent there; `undefined` = nowhere. */
  async #nextFor(refusal: Refusal, slot: number, tries: number, giveUpAt: number): Promise<Node | undefined> {
    let node: Node | undefined;
    if (refusal.word === 'MOVED') node = this.#moved(refusal);
    else if (refusal.word === 'ASK') node = this.#open(refusal.to);
    // Once it was refused there too, all that is left is to wait until the slot has moved.
    if (refusal.word === 'TRYAGAIN' || tries > 2) {
      await delay(retryDelayMs(tries, AGAIN_FIRST_MS, AGAIN_CAP_MS), this.#closed.signal);
    }
    node ??= this.#nodes.get(this.#owners[slot] ?? '');
    if (!node || this.#closed.signal.aborted) return undefined;
    const isReady = await waitUntilReady(node.client, Math.max(0, giveUpAt - performance.now()));
    return isReady ? node : undefined;
  }

  #moved({ slot, to }: Moved): Node {
    const node = this.#open(to);
    this.#owners[slot] = nodeName(to);
    node.isPrimary = true;
    if (performance.now() - this.#lookedAt > LOOK_EVERY_MS) this.#look();
    return node;
  }

  #open(address: NodeAddress): Node {
    const name = nodeName(address);
    const known = this.#nodes.get(name);
    if (known) return known;
    const client = this.#deps.openNode(address);
    const node: Node = { address, client, isPrimary: false };
    this.#nodes.set(name, node);
    client.on('ready', () => {
      this.#tell();
      this.emit('ready');
    });
    client.on(NOT_PERMITTED, (error: Error) => this.emit(NOT_PERMITTED, error));
    client.on(THROWN_AWAY, () => this.emit(THROWN_AWAY, name));
    client.on('close', () => {
      if (this.#closed.signal.aborted || this.#nodes.get(name) !== node) return;
      if (!node.isPrimary) this.#close(name, node);
      this.#tell();
      this.emit('close');
      this.emit(THROWN_AWAY, name);
      this.#look();
    });
    return node;
  }

  #close(name: string, { client }: Node): void {
    this.#nodes.delete(name);
    client.disconnect();
    this.emit(THROWN_AWAY, name);
  }

  /** Others see by the status whether it can take commands. */
  #tell(): void {
    this.status = this.isWhole() ? 'ready' : 'connecting';
  }

  /** Looks where all slots are, again and again until it is whole. */
  #look(): void {
    if (this.#isLooking || this.#closed.signal.aborted) return;
    this.#isLooking = true;
    void this.#lookUntilWhole().finally(() => {
      this.#isLooking = false;
    });
  }

  async #lookUntilWhole(): Promise<void> {
    const { signal } = this.#closed;
    for (let tries = 1; !signal.aborted; tries += 1) {
      const found = await this.#ask();
      if (signal.aborted) return;
      this.#lookedAt = performance.now();
      if (found instanceof Error) this.#deps.onLook(found);
      else {
        this.#apply(found);
        this.#tell();
        this.#deps.onLook(undefined);
        if (this.isWhole()) return;
      }
      await delay(retryDelayMs(tries, LOOK_FIRST_MS, LOOK_CAP_MS), signal);
    }
  }

  /** What the first of the nodes that can say so says; why, when none can. */
  async #ask(): Promise<ClusterMap | Error> {
    let fault = new Error('no node of the cluster can be reached');
    const connected = [...this.#nodes.values()].filter(({ client }) => isUsable(client));
    for (const { client, address } of shuffled(connected)) {
      const reply = await within(client.cluster('SLOTS'), ASK_WITHIN_MS).catch(() => undefined);
      if (reply && reply.length > 0) return readClusterSlots(reply, address);
    }
    const others = new Map([...this.#replicas, ...this.#deps.seeds].map((one) => [nodeName(one), one]));
    for (const address of shuffled([...others.values()])) {
      try {
        const reply = await this.#deps.askSlots(address);
        if (reply.length > 0) return readClusterSlots(reply, address);
        fault = new Error('CLUSTERDOWN: nobody serves the slots of this cluster');
      } catch (error) {
        fault = error as Error;
      }
    }
    return fault;
  }

  #apply({ owners, primaries, replicas }: ClusterMap): void {
    this.#owners = [...owners];
    this.#replicas = replicas;
    for (const address of primaries.values()) this.#open(address).isPrimary = true;
    for (const [name, node] of this.#nodes) {
      if (node.isPrimary && !primaries.has(name)) this.#close(name, node);
    }
  }
}

const slots = new Map<string, number>();
const SLOTS_KEPT = 10_000;

/** The slot of a key. */
function slotOf(key: string): number {
  const known = slots.get(key);
  if (known !== undefined) return known;
  if (slots.size >= SLOTS_KEPT) slots.clear();
  const slot = new RedisCommand('get', [key]).getSlot();
  slots.set(key, slot);
  return slot;
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => [Math.random(), item] as const)
    .toSorted(([a], [b]) => a - b)
    .map(([, item]) => item);
}
