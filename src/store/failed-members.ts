// Which members of a batch have failed, from the bits that say which have ended and which have succeeded (lua/lib/batches.lua).

import type { Redis } from 'ioredis';
import { homeOf, keyOf } from './keys.ts';

/** What is known of a batch (BatchRecord in batches.ts). */
interface Of {
  readonly plan: { readonly id: string; readonly home: string };
  readonly progress: { readonly dead: number; readonly cancelled: number; readonly next: number };
}

/** Members of a chunk: one bit each. */
const CHUNK_MEMBERS = 2_048;
/** Chunks that are read in one call: 8 KiB of each kind at most. */
const CHUNKS_A_CALL = 32;

/**
 * Numbers of members whose latest end was no success, from a number on, rising. A batch of a million members costs 16 calls at most.
 * @returns at most `limit`; `next`: where to go on, when there may be more
 * @throws Error of ioredis
 */
export async function failedMembers(
  client: Redis,
  { plan, progress }: Of,
  limit: number,
  from: number,
): Promise<{ readonly numbers: readonly number[]; readonly next?: number }> {
  const numbers: number[] = [];
  if (progress.dead + progress.cancelled === 0) return { numbers };
  const key = keyOf(homeOf(plan.home), 'batch-bits');
  const chunks = Math.ceil(progress.next / CHUNK_MEMBERS);
  for (let first = Math.floor(from / CHUNK_MEMBERS); first < chunks; first += CHUNKS_A_CALL) {
    const some = Array.from({ length: Math.min(CHUNKS_A_CALL, chunks - first) }, (_, nth) => first + nth);
    const fieldsOf = (kind: string): string[] => some.map((chunk) => `${plan.id} ${kind} ${chunk}`);
    const [ended, succeeded] = await Promise.all([
      client.hmgetBuffer(key, ...fieldsOf('ended')),
      client.hmgetBuffer(key, ...fieldsOf('succeeded')),
    ]);
    for (const [nth, chunk] of some.entries()) {
      for (const number of differing(ended[nth], succeeded[nth])) {
        const member = chunk * CHUNK_MEMBERS + number;
        if (member < from) continue;
        if (numbers.length === limit) return { numbers, next: member };
        numbers.push(member);
      }
    }
  }
  return { numbers };
}

/** Places of the bits that one has and the other has not. */
function* differing(of: Buffer | null | undefined, without: Buffer | null | undefined): Generator<number> {
  for (const [at, byte] of of?.entries() ?? []) {
    const bits = byte & ~(without?.[at] ?? 0);
    for (let bit = 0; bits >> bit > 0; bit += 1) if ((bits >> bit) & 1) yield at * 8 + bit;
  }
}
