// The layout of the graph of a workflow.

import { expect, test } from 'vitest';
import { layOut, type Layout, NODE, type Node } from '../../src/ui/layers.ts';

/** `a b<a c<a,b`: steps with what they need. */
function stepsOf(text: string): Node[] {
  return text.split(' ').map((one) => {
    const [name = '', needs = ''] = one.split('<');
    return { name, needs: needs.split(',').filter(Boolean) };
  });
}

function crossingsOf({ nodes, edges }: Layout): number {
  const yOf = (name: string): number => nodes.get(name)?.y ?? 0;
  let crossings = 0;
  for (const [at, one] of edges.entries()) {
    for (const other of edges.slice(at + 1)) {
      const isBeside =
        nodes.get(one.from)?.layer === nodes.get(other.from)?.layer &&
        nodes.get(one.to)?.layer === nodes.get(other.to)?.layer;
      if (isBeside && (yOf(one.from) - yOf(other.from)) * (yOf(one.to) - yOf(other.to)) < 0) crossings += 1;
    }
  }
  return crossings;
}

function expectApart({ nodes, width, height }: Layout): void {
  const columns = new Map<number, number[]>();
  for (const { x, y } of nodes.values()) {
    columns.set(x, [...(columns.get(x) ?? []), y]);
    expect(x).toBeGreaterThanOrEqual(0);
    expect(y).toBeGreaterThanOrEqual(0);
    expect(x + NODE.width).toBeLessThanOrEqual(width);
    expect(y + NODE.height).toBeLessThanOrEqual(height);
  }
  for (const ys of columns.values()) {
    ys.sort((one, other) => one - other);
    for (const [at, y] of ys.entries()) {
      if (at > 0) expect(y - (ys[at - 1] ?? 0)).toBeGreaterThanOrEqual(NODE.height);
    }
  }
}

test('each step stands behind all that it needs', () => {
  const steps = stepsOf('a b<a c<a d<b,c e<a,d f');
  const layout = layOut(steps);
  const layers = Object.fromEntries([...layout.nodes].map(([name, { layer }]) => [name, layer]));
  expect(layers).toEqual({ a: 0, b: 1, c: 1, d: 2, e: 3, f: 0 });
  expect(layout.edges).toHaveLength(6);
  expectApart(layout);
});

test('a chain is a straight line, and a diamond is even', () => {
  const chain = layOut(stepsOf('a b<a c<b d<c'));
  expect(new Set([...chain.nodes.values()].map(({ y }) => y)).size).toBe(1);
  const { nodes } = layOut(stepsOf('a b<a c<a d<b,c'));
  const y = (name: string): number => nodes.get(name)?.y ?? 0;
  expect(y('a')).toBe(y('d'));
  expect(y('b') + y('c')).toBe(2 * y('a'));
});

test('edges do not cross where they need not, and a long one passes between the steps', () => {
  // In the order in which they are written every edge crosses every other one.
  const crossed = layOut(stepsOf('a b c x<c y<b z<a'));
  expect(crossingsOf(crossed)).toBe(0);
  const long = layOut(stepsOf('a b<a c<b d<c,a'));
  const edge = long.edges.find(({ from, to }) => from === 'a' && to === 'd');
  expect(edge?.points).toHaveLength(6);
  const passes = edge?.points.slice(1, -1).map(({ y }) => y) ?? [];
  const { y: top = 0 } = long.nodes.get('b') ?? {};
  for (const y of passes) expect(y < top || y > top + NODE.height).toBe(true);
});

test('needs that are unknown, and circles, break nothing', () => {
  expect(layOut([]).nodes.size).toBe(0);
  const layout = layOut(stepsOf('a<x b<c c<b'));
  expect([...layout.nodes.keys()]).toEqual(['a', 'b', 'c']);
  expect(layout.edges.every(({ from }) => from !== 'x')).toBe(true);
});

test('a thousand steps are laid out in a moment, whatever their form', () => {
  const many = Array.from({ length: 1_000 }, (_, at) => at);
  const forms: readonly (readonly Node[])[] = [
    many.map((at) => ({ name: `s${at}`, needs: at === 0 ? [] : [`s${at - 1}`] })),
    many.map((at) => ({
      name: `s${at}`,
      needs: at === 0 ? [] : at < 999 ? ['s0'] : many.slice(1, 999).map((one) => `s${one}`),
    })),
    // The last one needs all steps of a chain.
    many.map((at) => ({
      name: `s${at}`,
      needs: at === 999 ? many.slice(0, 999).map((one) => `s${one}`) : at === 0 ? [] : [`s${at - 1}`],
    })),
    many.map((at) => ({
      name: `s${at}`,
      needs: [at - 7, at - 20].filter((one) => one >= 0).map((one) => `s${one}`),
    })),
  ];
  for (const steps of forms) {
    const layout = layOut(steps);
    expect(layout.nodes.size).toBe(1_000);
    expectApart(layout);
  }
});
