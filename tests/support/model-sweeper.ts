// The sweeper of models: a few rows a sweep, and nothing that has ended goes by itself.

import type { Redis } from 'ioredis';
import { createSweeper } from '../../src/store/sweeper.ts';

export function createModelSweeper(client: Redis): ReturnType<typeof createSweeper> {
  return createSweeper(client, {
    leaseMs: 1_000,
    slice: 5,
    popGraceMs: 400,
    retentionMs: 1e12,
    retentionBytes: 0,
    periodMs: 250,
  });
}
