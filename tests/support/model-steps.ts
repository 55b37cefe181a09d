// What may happen to the world of the model, one step at a time.

import type { Lane } from '../../src/protocol/lane.ts';
import type { OutcomeWord } from '../../src/store/consumer.ts';

/** One step of the world. Numbers choose among what there is at that moment. */
export type Step = StepOfQueue & {
  /** Which of several: the first one unless it says so. */
  readonly queue?: number;
};

type StepOfQueue =
  | {
      readonly do: 'enqueue';
      readonly count: number;
      readonly lane: Lane;
      readonly delayMs: number;
      /** 0 = never expires. */
      readonly ttlMs: number;
      readonly twice: boolean;
      readonly followed: boolean;
      readonly tagged: boolean;
    }
  | {
      readonly do: 'pop';
      readonly worker: number;
      readonly lost: 'no' | 'pop' | 'claim';
      readonly want: number;
      /** What it brings may not begin before the next call; also of `finish`. */
      readonly ahead?: boolean;
      /** It reads what it was handed, of whatever queue, before it claims what it has popped. */
      readonly hears?: boolean;
    }
  | {
      readonly do: 'finish';
      readonly worker: number;
      readonly word: OutcomeWord;
      readonly count: number;
      readonly want: number;
      readonly lost: boolean;
      readonly ahead?: boolean;
    }
  | { readonly do: 'beat'; readonly worker: number }
  /** It reads what it was handed, and says so. */
  | { readonly do: 'hear'; readonly worker: number; readonly lost?: ConfirmWord }
  /** Redis reads a call of it that was `late`; or it withdraws, gives back what it holds, and leaves. */
  | { readonly do: 'arrive' | 'leave'; readonly worker: number }
  | { readonly do: 'crash'; readonly worker: number }
  | { readonly do: 'cancel' | 'replay' | 'remove'; readonly task: number }
  | RelayStep
  | { readonly do: 'pause' | 'resume' | 'sweep' }
  /** Less than 0: the clock of Redis is set back. */
  | { readonly do: 'advance'; readonly ms: number }
  /** The clock of Redis is set forward, or Redis stands still while nothing is read. */
  | { readonly do: 'jump'; readonly ms: number };

/** What becomes of a call: it is answered, it or its reply is lost, or Redis does not read it yet. */
export type ConfirmWord = 'no' | 'request' | 'reply' | 'late';

/** What happens to what follows the ends of tasks. */
export type RelayStep =
  /** A relay takes entries, or does what it took them for: until it dies. */
  | {
      readonly do: 'relay';
      readonly relay: number;
      readonly what: 'take' | 'go-on';
      readonly dies: 'no' | 'before-send' | 'before-note';
    }
  /** Something follows a task later; `unknown`: one that was never there. */
  | { readonly do: 'follow'; readonly task: number; readonly unknown: boolean }
  /** Drops all tasks that relays have accepted. */
  | { readonly do: 'drop-followers' }
  /** Redis takes nothing new for a while. */
  | { readonly do: 'fill' | 'drain' };
