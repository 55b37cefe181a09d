// Which node of a Redis Cluster serves which slot, as `CLUSTER SLOTS` says, and how nodes refuse what is not theirs.

import type { NodeAddress } from './redis-url.ts';

const SLOTS = 16_384;

/** What one node knows of its cluster. */
export interface ClusterMap {
  /** By slot: the name of its primary, `undefined` where nobody serves it. */
  readonly owners: readonly (string | undefined)[];
  /** By name. */
  readonly primaries: ReadonlyMap<string, NodeAddress>;
  /** Others that may be asked. */
  readonly replicas: readonly NodeAddress[];
}

/** Nobody serves any slot. */
export function noOwners(): (string | undefined)[] {
  return Array.from({ length: SLOTS }, () => undefined);
}

/** Names a node. */
export function nodeName({ host, port }: NodeAddress): string {
  return `${host}:${port}`;
}

type SlotNode = readonly [host: string | null, port: number, ...more: unknown[]];

/**
 * Reads the reply to `CLUSTER SLOTS`.
 * @param asked the node that has answered: where it names no host, that one is meant
 */
export function readClusterSlots(reply: readonly unknown[], asked: NodeAddress): ClusterMap {
  const owners = noOwners();
  const primaries = new Map<string, NodeAddress>();
  const replicas: NodeAddress[] = [];
  const read = ([host, port]: SlotNode): NodeAddress => ({ host: hostOr(host, asked), port: Number(port) });
  for (const range of reply as readonly (readonly [number, number, SlotNode, ...SlotNode[]])[]) {
    const [first, last, primary, ...copies] = range;
    const address = read(primary);
    const name = nodeName(address);
    primaries.set(name, address);
    owners.fill(name, first, last + 1);
    replicas.push(...copies.map(read));
  }
  return { owners, primaries, replicas };
}

/** A node that does not know how it is reached names no host, or `?`. */
function hostOr(host: string | null, { host: asked }: NodeAddress): string {
  return host === null || host === '' || host === '?' ? asked : host;
}

export interface Moved {
  readonly word: 'MOVED';
  readonly slot: number;
  readonly to: NodeAddress;
}

export type Refusal =
  | Moved
  | (Omit<Moved, 'word'> & { readonly word: 'ASK' })
  | { readonly word: 'TRYAGAIN' };

/**
 * How a node has refused a command that it did not run: another one has the slot (`MOVED`), or the slot is on its way there (`ASK`,
 * `TRYAGAIN`); `undefined` for any other error.
 */
export function readRefusal(error: Error, asked: NodeAddress): Refusal | undefined {
  if (error.message.startsWith('TRYAGAIN')) return { word: 'TRYAGAIN' };
  const [, word, slot, host = '', port] = /^(MOVED|ASK) (\d+) (.*):(\d+)$/.exec(error.message) ?? [];
  if ((word !== 'MOVED' && word !== 'ASK') || Number(slot) >= SLOTS) return undefined;
  return { word, slot: Number(slot), to: { host: hostOr(host, asked), port: Number(port) } };
}
