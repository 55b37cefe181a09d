// Operations: what is done to many tasks of a queue, a slice at a time. Their records stand in the home place of the queue, so any
// server goes on with them.

import type { Redis } from 'ioredis';
import type { TaskState } from '../protocol/task-state.ts';
import { homeOf, keyOf, type Place } from './keys.ts';
import { readHash } from './read-whole.ts';
import { runScript } from './scripts.ts';
import { withStoreErrors } from './store-error.ts';
import { termsOf } from './terms.ts';

/** The states in which a task may be for an action, most usual first; a task that runs is skipped by `delete`. */
export const STATES_OF_ACTION = {
  retry: ['dead'],
  cancel: ['waiting', 'scheduled', 'ready', 'running'],
  delete: ['waiting', 'scheduled', 'ready', 'running', 'succeeded', 'dead', 'cancelled'],
  move: ['scheduled', 'ready', 'dead'],
} as const satisfies Record<string, readonly TaskState[]>;
export type Action = keyof typeof STATES_OF_ACTION;
export const ACTIONS = Object.keys(STATES_OF_ACTION) as readonly Action[];

/** Which tasks. Times are milliseconds since 1970: from `…After` on, and before `…Before`. */
export interface OperationFilter {
  readonly queue: string;
  /** These tasks alone. */
  readonly ids?: readonly string[] | undefined;
  readonly state?: TaskState | undefined;
  readonly type?: string | undefined;
  /** Of the error of a dead task, or `other`. */
  readonly fingerprint?: string | undefined;
  /** Name of the error of a dead task. */
  readonly error?: string | undefined;
  readonly tag?: string | undefined;
  /** A declared field with its value, as `customer:4711`. */
  readonly field?: string | undefined;
  readonly acceptedAfter?: number | undefined;
  readonly acceptedBefore?: number | undefined;
  readonly endedAfter?: number | undefined;
  readonly endedBefore?: number | undefined;
}

export interface OperationRequest {
  readonly action: Action;
  readonly filter: OperationFilter;
  /** The queue to which `move` moves. */
  readonly to?: string | undefined;
  readonly reason?: string | undefined;
  /** Does so many, and then no more unless `thenRest`. */
  readonly first?: number | undefined;
  /** Retries no more as soon as so many of those that it has retried are dead again. */
  readonly stopAfterErrors?: number | undefined;
  /** Goes on with all others once the first ones have ended, and did not stop it. */
  readonly thenRest?: boolean | undefined;
}

/** `stopped`: too many of those that it had retried were dead again. */
export const OPERATION_STATES = ['waiting', 'running', 'watching', 'done', 'cancelled', 'stopped'] as const;
type OperationState = (typeof OPERATION_STATES)[number];

/**
 * As the scripts keep it. `matched = done + the numbers of skipped + those of failed` in each that Redis has. Times are milliseconds of
 * the clock of Redis.
 */
export interface OperationRecord extends OperationRequest {
  readonly id: string;
  readonly state: OperationState;
  /** Id of the API key of whoever asked for it. */
  readonly by?: string | undefined;
  readonly createdAt: number;
  readonly startedAt?: number;
  readonly endedAt?: number;
  /** Tasks that there were to look at when it started, about, and how many of them were. */
  readonly total: number;
  readonly looked: number;
  readonly matched: number;
  readonly done: number;
  /** Tasks among `done` that ran, and were asked to stop. */
  readonly requested?: number;
  /** Reason to number. */
  readonly skipped: Readonly<Record<string, number>>;
  readonly failed: Readonly<Record<string, number>>;
  /** How those that it has retried ended, as far as they did. */
  readonly watched?: { readonly succeeded: number; readonly dead: number; readonly others: number };
  /** Whether all tasks were looked at. */
  readonly isWalked?: boolean;
}

/** What an operation would do. */
interface Match {
  readonly matched: number;
  /** False when only the first tasks were looked at: there may be more that match. */
  readonly isAll: boolean;
  readonly perState: ReadonlyMap<string, number>;
  readonly sample: readonly string[];
}

/** How one slice of an operation went. `none`: there is none; `taken`: another caller works on it. */
export type Turn =
  | { readonly word: 'none' | 'taken' }
  | {
      readonly word: 'worked';
      readonly looked: number;
      /** Milliseconds until the next slice; 0 = as soon as others have had their turn. */
      readonly waitMs: number;
      /** Milliseconds that Redis has worked; 0 = it does not say. */
      readonly tookMs: number;
      /** Entries that it has appended to the outbox. */
      readonly appended: number;
    };

/** @throws PopfleetError `redis-unavailable` from every method when Redis does not answer */
export interface Operations {
  /** Looks at some thousand tasks at most, a slice at a time, and changes nothing. */
  match(request: Pick<OperationRequest, 'action' | 'filter'>): Promise<Match>;
  /** `known`: there is one with this id. `full`: too many of its queue are open. */
  open(id: string, request: OperationRequest, by: string | undefined): Promise<'opened' | 'known' | 'full'>;
  find(id: string, queues: readonly string[]): Promise<OperationRecord | undefined>;
  /** Newest first. */
  list(queues: readonly string[]): Promise<readonly OperationRecord[]>;
  /** Ends one between two slices. What it has done stays done. @returns `cancelled`, `unknown`, or how it has ended before */
  cancel(queue: string, id: string): Promise<string>;
}

/** Operations of a queue that wait or run at the same time. */
export const MOST_OPEN = 100;
const LOOKED_AT = 10_000;
const LOOKED_AT_ONCE = 100;
const SAMPLE = 5;

/** @param client a connection of `openCommandConnection` */
export function createOperations(client: Redis): Operations {
  return withStoreErrors<Operations>({
    async match(request) {
      const place = homeOf(request.filter.queue);
      const perState = new Map<string, number>();
      const sample: string[] = [];
      let cursor = '';
      let looked = 0;
      do {
        const op = JSON.stringify({ ...toFields(request), cursor });
        const reply = await runScript(client, 'matches', place, [op, LOOKED_AT_ONCE, SAMPLE - sample.length]);
        const [next, lookedNow, states, ids] = reply as [Buffer, number, (Buffer | number)[], Buffer[]];
        for (let at = 0; at < states.length; at += 2) {
          const state = String(states[at]);
          perState.set(state, (perState.get(state) ?? 0) + Number(states[at + 1]));
        }
        sample.push(...ids.map(String));
        cursor = next.toString();
        // A look that finds nothing counts as some: it has walked over empty buckets.
        looked += Math.max(lookedNow, LOOKED_AT_ONCE / 10);
      } while (cursor !== '' && looked < LOOKED_AT);
      const matched = [...perState.values()].reduce((sum, count) => sum + count, 0);
      return { matched, isAll: cursor === '', perState, sample };
    },

    async open(id, request, by) {
      const op = JSON.stringify({ id, ...toFields(request), by });
      const args = ['open', id, op, MOST_OPEN];
      const word = await runScript(client, 'operation', homeOf(request.filter.queue), args);
      return String(word) as 'opened' | 'known' | 'full';
    },

    async find(id, queues) {
      const found = await Promise.all(
        queues.map((queue) => client.hget(keyOf(homeOf(queue), 'operations'), id)),
      );
      return found.map(readRecord).find((record) => record !== undefined);
    },

    async list(queues) {
      const all = await Promise.all(
        queues.map((queue) => readHash(client, keyOf(homeOf(queue), 'operations'))),
      );
      return all
        .flatMap((records) => Array.from(records.values(), (text) => readRecord(text.toString())))
        .filter((record) => record !== undefined)
        .sort((one, other) => other.createdAt - one.createdAt || (one.id < other.id ? 1 : -1));
    },

    cancel: async (queue, id) => String(await runScript(client, 'operation', homeOf(queue), ['cancel', id])),
  });
}

/** As lib/match.lua reads it. */
function toFields(request: Pick<OperationRequest, 'action' | 'filter'>): object {
  const { action, filter } = request;
  const { state } = filter;
  const states = state === undefined ? STATES_OF_ACTION[action] : [state];
  const terms = termsOf(filter);
  // Those of the first term are looked at, unless ids are given; of one kind of error there are fewer as a rule.
  const term = filter.ids === undefined ? terms.shift() : undefined;
  return { ...request, states, term, ...(terms.length > 0 && { terms }) };
}

/** `undefined` for what another program has spoilt. */
function readRecord(text: string | null): OperationRecord | undefined {
  try {
    const record = JSON.parse(text ?? 'null') as Partial<OperationRecord> | null;
    return record?.filter && typeof record.id === 'string' ? (record as OperationRecord) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Goes on with the first open operation of a place.
 * @param caller no other one has this name
 * @param most tasks to look at
 * @throws Error of ioredis
 */
export async function operate(client: Redis, place: Place, caller: string, most: number): Promise<Turn> {
  const reply = await runScript(client, 'operate', place, [caller, most]);
  const [word, , looked, waitMs, us, appended] = reply as [Buffer, Buffer, number, number, number, number];
  switch (String(word)) {
    case 'worked':
      return { word: 'worked', looked, waitMs, tookMs: us / 1_000, appended };
    case 'taken':
      return { word: 'taken' };
    default:
      return { word: 'none' };
  }
}
