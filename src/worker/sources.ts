// What handlers may wait for without a slot: asked for while they run, and read before their task runs again.

import type { Log } from '../log.ts';
import { TOKEN_NAME, tokenOf } from '../protocol/token.ts';
import type { Consumer } from '../store/consumer.ts';
import type { Spawn } from '../children/spawn.ts';
import { PopfleetError } from '../protocol/errors.ts';
import { childSource, MOST_SOURCES, readChildSource } from '../protocol/source.ts';
import { steadyNow } from '../steady-now.ts';
import type { SourceEnd, Wait } from '../store/waits.ts';
import type { ChildBytes, HandlerReply, HandlerRequest, RunOf, WaitedBytes } from './runners/runner.ts';
import type { HeldTask, Slots } from './slots.ts';
import { askFor, holderOf, type LeaseOf, untilDone } from './until-done.ts';

type SpawnRequest = Extract<HandlerRequest, { readonly kind: 'spawn' }>;

export interface Sources {
  /** Resolves once Redis has the token, or will not take it. Redis may be away meanwhile, however long that takes. Never rejects. */
  token(run: RunOf, name: string): Promise<HandlerReply>;
  /** Resolves once Redis has a child, with its id, or will not take it, likewise. */
  spawn(run: RunOf, request: Omit<SpawnRequest, 'kind'>): Promise<HandlerReply>;
  /** What the latest wait of a task has brought that this worker holds; `undefined` when it has not waited for anything. */
  read(held: HeldTask): Promise<WaitedBytes | undefined>;
}

export interface SourcesDeps {
  readonly leases: readonly LeaseOf<Pick<Consumer, 'source' | 'readWait'>>[];
  readonly slots: Pick<Slots, 'find'>;
  /** How children are made. */
  readonly spawn: () => Spawn;
  readonly log: Log;
}

const refused = (name: string, message: string): HandlerReply => ({ refused: { name, message } });
const STALE = refused('AbortError', 'it was not made: this run does not count any more');
const MANY = refused('RangeError', `a task may have ${MOST_SOURCES} tokens and children at most`);
const NO_NAME = refused('TypeError', `the name of a token must match ${TOKEN_NAME.source}`);

export function createSources({ leases, slots, spawn, log }: SourcesDeps): Sources {
  /** How often a task has begun anew, asked for once in a run that makes children. */
  const anewOf = new WeakMap<HeldTask, Promise<number | undefined>>();

  function anew(held: HeldTask): Promise<number | undefined> | number {
    if (held.task.claim === 1) return 0;
    let asked = anewOf.get(held);
    if (!asked) {
      asked = askFor(leases, held, log, (consumer) =>
        consumer.readWait(held.task.id).then((wait) => wait?.anew ?? 0),
      );
      anewOf.set(held, asked);
    }
    return asked;
  }

  return {
    async token(run, name) {
      if (!TOKEN_NAME.test(name)) return NO_NAME;
      const holder = holderOf(leases, slots, run);
      if (!holder) return STALE;
      const { consumer, held } = holder;
      held.hasReported = true;
      const answer = await untilDone(held, log, () => consumer.source(held.task, `.${name}`, '-'));
      if (answer === 'many') return MANY;
      return answer === undefined || answer === 'stale' ? STALE : { value: tokenOf(run.id, name) };
    },

    async spawn(run, { key, call, traceparent }) {
      const holder = holderOf(leases, slots, run);
      if (!holder) return STALE;
      const { consumer, held } = holder;
      held.hasReported = true;
      const begunAnew = await anew(held);
      if (begunAnew === undefined) return STALE;
      const { queue, id } = run;
      try {
        const child = spawn().prepare({ queue, id, anew: begunAnew, traceparent }, key, call);
        const answer = await untilDone(held, log, async () => {
          const askedAt = steadyNow();
          const asked = await consumer.source(held.task, childSource(child.id), child.digest, child.follower);
          // One that has ended may be gone.
          if (asked === 'open') await spawn().send(child, askedAt);
          return asked;
        });
        if (answer === 'many') return MANY;
        if (answer === 'conflict') return conflict(key);
        return answer === undefined || answer === 'stale' ? STALE : { value: child.id };
      } catch (error) {
        if (!(error instanceof PopfleetError)) throw error;
        return refused(error.name, error.message);
      }
    },

    async read(held) {
      const wait = await askFor(leases, held, log, (consumer) => consumer.readWait(held.task.id));
      return wait && waitedOf(wait);
    },
  };
}

/** @param key as `HandlerRequest` has it */
function conflict(key: string): HandlerReply {
  const isNamed = key.startsWith('=');
  const which = isNamed ? `the key "${key.slice(1)}"` : `child ${key.slice(1)} without a key`;
  const hint = isNamed
    ? 'give it a key of its own'
    : 'a handler that does not always ask for the same children in the same order has to give each a key';
  return refused('TypeError', `${which} was another child before (its type, input or queue): ${hint}`);
}

function waitedOf({ word, ends }: Wait): WaitedBytes | undefined {
  if (word === 'none') return undefined;
  const children = ends.flatMap(childOf);
  const token = ends.find(({ source, value }) => value && readChildSource(source) === undefined)?.value;
  return { timedOut: word === 'late', payload: own(token), children };
}

function childOf({ source, word, value }: SourceEnd): ChildBytes[] {
  const id = readChildSource(source);
  if (id === undefined) return [];
  const state = word === 'open' || word === 'late' ? 'unfinished' : word === 'gone' ? 'removed' : word;
  return [{ id, state, value: own(value) }];
}

/** Of its own: what a reply brings is a slice of something larger. */
function own(value: Uint8Array | undefined): Uint8Array | undefined {
  return value && Uint8Array.from(value);
}
