// Where the steps of a workflow stand in its graph: in layers from left to right, each behind all that it needs, in an order that has few
// crossings, and about as high as what it is joined with. Pure; the same steps give the same places.

export interface Node {
  readonly name: string;
  /** Names of others. One that is unknown is left out. */
  readonly needs: readonly string[];
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Placed extends Point {
  readonly name: string;
  readonly layer: number;
  /** Where it stands among those of its layer, from above. */
  readonly rank: number;
}

export interface Edge {
  readonly from: string;
  readonly to: string;
  /** From the right side of the one to the left side of the other. */
  readonly points: readonly Point[];
}

export interface Layout {
  /** By their names, in the order of the steps. */
  readonly nodes: ReadonlyMap<string, Placed>;
  readonly edges: readonly Edge[];
  readonly width: number;
  readonly height: number;
}

/** Pixels. */
export const NODE = { width: 184, height: 46 } as const;
const GAP = { x: 56, y: 18, bend: 14, margin: 12 } as const;
/** Places at which long edges pass a layer; with more of them they go straight. */
const MOST_BENDS = 4_000;
const ORDER_ROUNDS = 8;
const HEIGHT_ROUNDS = 10;

/** A step, or the place at which a long edge passes a layer. */
interface Item {
  readonly name: string | undefined;
  readonly layer: number;
  readonly before: Item[];
  readonly after: Item[];
  rank: number;
  /** Of its middle. */
  y: number;
}

/** Steps in a circle, which no workflow has, stand in the first layer. */
export function layOut(steps: readonly Node[]): Layout {
  const layers = layersOf(steps);
  const { items, edges } = joined(steps, layers);
  const columns = columnsOf(items);
  for (let round = 0; round < ORDER_ROUNDS; round += 1) order(columns, round % 2 === 0);
  for (let round = 0; round < HEIGHT_ROUNDS; round += 1) level(columns, round % 2 === 0);
  return placed(steps, items, columns, edges);
}

/** The longest way from a step that needs nothing. */
function layersOf(steps: readonly Node[]): ReadonlyMap<string, number> {
  const known = new Map(steps.map((step) => [step.name, step]));
  const left = new Map(
    steps.map(({ name, needs }) => [name, needs.filter((need) => known.has(need)).length]),
  );
  const followers = followersOf(steps);
  const layers = new Map(steps.map(({ name }) => [name, 0]));
  const free = steps.filter(({ name }) => left.get(name) === 0).map(({ name }) => name);
  for (let at = 0; at < free.length; at += 1) {
    const name = free[at] ?? '';
    for (const follower of followers.get(name) ?? []) {
      layers.set(follower, Math.max(layers.get(follower) ?? 0, (layers.get(name) ?? 0) + 1));
      left.set(follower, (left.get(follower) ?? 0) - 1);
      if (left.get(follower) === 0) free.push(follower);
    }
  }
  return layers;
}

/** For each step, those that need it. */
export function followersOf(steps: readonly Node[]): ReadonlyMap<string, readonly string[]> {
  const followers = new Map<string, string[]>();
  for (const { name, needs } of steps) {
    for (const need of needs) {
      const known = followers.get(need);
      if (known) known.push(name);
      else followers.set(need, [name]);
    }
  }
  return followers;
}

interface Way {
  readonly from: string;
  readonly to: string;
  readonly over: readonly Item[];
}

function joined(
  steps: readonly Node[],
  layers: ReadonlyMap<string, number>,
): { readonly items: readonly Item[]; readonly edges: readonly Way[] } {
  const newItem = (name: string | undefined, layer: number): Item => {
    return { name, layer, before: [], after: [], rank: 0, y: 0 };
  };
  const byName = new Map(steps.map(({ name }) => [name, newItem(name, layers.get(name) ?? 0)]));
  const items = [...byName.values()];
  const edges: Way[] = [];
  for (const { name, needs } of steps) {
    const target = byName.get(name);
    for (const need of needs) {
      const source = byName.get(need);
      if (!source || !target) continue;
      const bends = target.layer - source.layer - 1;
      const over: Item[] = [];
      let last = source;
      for (let nth = 1; nth <= bends && items.length - steps.length < MOST_BENDS; nth += 1) {
        const bend = newItem(undefined, source.layer + nth);
        over.push(bend);
        items.push(bend);
        join(last, bend);
        last = bend;
      }
      join(last, target);
      edges.push({ from: need, to: name, over });
    }
  }
  return { items, edges };
}

function join(one: Item, other: Item): void {
  one.after.push(other);
  other.before.push(one);
}

function columnsOf(items: readonly Item[]): Item[][] {
  const columns: Item[][] = [];
  for (const item of items) (columns[item.layer] ??= []).push(item);
  for (const column of columns) rerank(column);
  return columns;
}

function rerank(column: readonly Item[]): void {
  for (const [rank, item] of column.entries()) item.rank = rank;
}

/** Sorts each layer by the mean rank of what its items are joined with in the layer before or behind. */
function order(columns: readonly Item[][], isForward: boolean): void {
  for (const column of isForward ? columns : columns.toReversed()) {
    const wanted = new Map(
      column.map((item) => [
        item,
        mean(isForward ? item.before : item.after, ({ rank }) => rank) ?? item.rank,
      ]),
    );
    column.sort((one, other) => (wanted.get(one) ?? 0) - (wanted.get(other) ?? 0) || one.rank - other.rank);
    rerank(column);
  }
}

function mean(items: readonly Item[], value: (item: Item) => number): number | undefined {
  if (items.length === 0) return undefined;
  return items.reduce((sum, item) => sum + value(item), 0) / items.length;
}

/** Brings the items of each layer as near to what they are joined with as their order and their distances allow. */
function level(columns: readonly Item[][], isForward: boolean): void {
  for (const column of isForward ? columns : columns.toReversed()) {
    const wanted = column.map((item) => mean(isForward ? item.before : item.after, ({ y }) => y) ?? item.y);
    const offsets = offsetsOf(column);
    const fitted = rising(wanted.map((y, at) => y - (offsets[at] ?? 0)));
    for (const [at, item] of column.entries()) item.y = (fitted[at] ?? 0) + (offsets[at] ?? 0);
  }
}

/** Where the middle of each item would be, one directly below the other. */
function offsetsOf(column: readonly Item[]): readonly number[] {
  let y = 0;
  return column.map((item, at) => {
    if (at > 0) y += (heightOf(column[at - 1]) + heightOf(item)) / 2 + GAP.y;
    return y;
  });
}

function heightOf(item: Item | undefined): number {
  return item?.name === undefined ? GAP.bend - GAP.y : NODE.height;
}

/** The numbers that never fall and are nearest to the given ones (pool adjacent violators). */
function rising(values: readonly number[]): readonly number[] {
  const pools: { sum: number; count: number }[] = [];
  for (const value of values) {
    let pool = { sum: value, count: 1 };
    for (
      let last = pools.at(-1);
      last && last.sum / last.count > pool.sum / pool.count;
      last = pools.at(-1)
    ) {
      pools.pop();
      pool = { sum: last.sum + pool.sum, count: last.count + pool.count };
    }
    pools.push(pool);
  }
  return pools.flatMap(({ sum, count }) => Array.from({ length: count }, () => sum / count));
}

function placed(
  steps: readonly Node[],
  items: readonly Item[],
  columns: readonly Item[][],
  edges: readonly Way[],
): Layout {
  const top = Math.min(...items.map((item) => item.y - Math.max(0, heightOf(item)) / 2), 0);
  const bottom = Math.max(...items.map((item) => item.y + Math.max(0, heightOf(item)) / 2), 0);
  const middle = (item: Item): number => Math.round(item.y - top + GAP.margin);
  const left = (layer: number): number => GAP.margin + layer * (NODE.width + GAP.x);
  const byName = new Map(items.filter(({ name }) => name !== undefined).map((item) => [item.name, item]));
  const nodes = new Map<string, Placed>();
  for (const { name } of steps) {
    const item = byName.get(name);
    if (!item) continue;
    const { layer, rank } = item;
    nodes.set(name, { name, layer, rank, x: left(layer), y: middle(item) - NODE.height / 2 });
  }
  return {
    nodes,
    edges: edges.map(({ from, to, over }) => {
      const [source, target] = [byName.get(from), byName.get(to)];
      const ends = { x: source ? left(source.layer) + NODE.width : 0, y: source ? middle(source) : 0 };
      const begins = { x: target ? left(target.layer) : 0, y: target ? middle(target) : 0 };
      const between = over.flatMap((bend) => [
        { x: left(bend.layer), y: middle(bend) },
        { x: left(bend.layer) + NODE.width, y: middle(bend) },
      ]);
      return { from, to, points: [ends, ...between, begins] };
    }),
    width: left(columns.length) - GAP.x + GAP.margin,
    height: Math.round(bottom - top) + 2 * GAP.margin,
  };
}
