// What a node says of its cluster, and of commands that are not its own.

import { expect, test } from 'vitest';
import { readClusterSlots, readRefusal } from '../../src/store/cluster-slots.ts';

const ASKED = { host: 'seed', port: 7_000 };

test('a reply to CLUSTER SLOTS, also of nodes that do not know how they are reached', () => {
  const { owners, primaries, replicas } = readClusterSlots(
    [
      [0, 99, ['10.0.0.1', 7001, 'id1', []], ['10.0.0.2', 7002, 'id2']],
      [101, 16_383, ['', 7003, 'id3']],
      [100, 100, [null, 7003, 'id3'], ['?', 7004, 'id4']],
    ],
    ASKED,
  );
  expect([owners.length, owners[0], owners[99], owners[100], owners[16_383]]).toEqual([
    16_384,
    '10.0.0.1:7001',
    '10.0.0.1:7001',
    'seed:7003',
    'seed:7003',
  ]);
  expect([...primaries.keys()]).toEqual(['10.0.0.1:7001', 'seed:7003']);
  expect(replicas).toEqual([
    { host: '10.0.0.2', port: 7_002 },
    { host: 'seed', port: 7_004 },
  ]);
  expect(readClusterSlots([], ASKED).owners.every((owner) => owner === undefined)).toBe(true);
});

test.each([
  ['MOVED 3999 10.0.0.1:6381', { word: 'MOVED', slot: 3_999, to: { host: '10.0.0.1', port: 6_381 } }],
  ['MOVED 1 ::1:6381', { word: 'MOVED', slot: 1, to: { host: '::1', port: 6_381 } }],
  ['ASK 3999 :6381', { word: 'ASK', slot: 3_999, to: { host: 'seed', port: 6_381 } }],
  ['TRYAGAIN Multiple keys request during rehashing of slot', { word: 'TRYAGAIN' }],
  ['MOVED 16384 10.0.0.1:6381', undefined],
  ['MOVED __proto__ 10.0.0.1:6381', undefined],
  ['CLUSTERDOWN The cluster is down', undefined],
])('%s', (message, refusal) => {
  expect(readRefusal(new Error(message), ASKED)).toEqual(refusal);
});
