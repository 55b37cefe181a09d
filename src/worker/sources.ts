// What handlers may wait for without a slot: asked for while they run, and read before their task runs again.

import type { Log } from '../log.ts';
import { TOKEN_NAME, tokenOf } from '../protocol/token.ts';
import type { Consumer } from '../store/consumer.ts';
import { MOST_SOURCES, type Wait } from '../store/waits.ts';
import type { HandlerReply, RunOf, WaitedBytes } from './runners/runner.ts';
import type { HeldTask, Slots } from './slots.ts';
import { askFor, holderOf, type LeaseOf, untilDone } from './until-done.ts';

export interface Sources {
  /** Resolves once Redis has the token, or will not take it. Redis may be away meanwhile, however long that takes. Never rejects. */
  token(run: RunOf, name: string): Promise<HandlerReply>;
  /** What the latest wait of a task has brought that this worker holds; `undefined` when it has not waited for anything. */
  read(held: HeldTask): Promise<WaitedBytes | undefined>;
}

export interface SourcesDeps {
  readonly leases: readonly LeaseOf<Pick<Consumer, 'source' | 'readWait'>>[];
  readonly slots: Pick<Slots, 'find'>;
  readonly log: Log;
}

const refused = (name: string, message: string): HandlerReply => ({ refused: { name, message } });
const STALE = refused('AbortError', 'it was not made: this run does not count any more');
const MANY = refused('RangeError', `a task may have ${MOST_SOURCES} tokens at most`);
const NO_NAME = refused('TypeError', `the name of a token must match ${TOKEN_NAME.source}`);

export function createSources({ leases, slots, log }: SourcesDeps): Sources {
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

    async read(held) {
      const wait = await askFor(leases, held, log, (consumer) => consumer.readWait(held.task.id));
      return wait && waitedOf(wait);
    },
  };
}

function waitedOf({ word, ends }: Wait): WaitedBytes | undefined {
  if (word === 'none') return undefined;
  const value = ends.find(({ value: one }) => one !== undefined)?.value;
  // Of its own: what a reply brings is a slice of something larger.
  return { timedOut: word === 'late', payload: value && Uint8Array.from(value) };
}
