// What may happen to a world of workflows, one step at a time. Numbers choose among what there is at that moment.

export type Policy = 'fail' | 'run' | 'cancel';

export type FlowStep =
  | {
      readonly do: 'start';
      /** Of each step: which earlier ones it needs (a bit each), what it does when one fails, and its queue. */
      readonly graph: readonly { readonly needs: number; readonly policy: Policy; readonly queue: number }[];
      readonly cancelSiblings: boolean;
      readonly faults: Faults;
    }
  | { readonly do: 'retry'; readonly flow: number; readonly faults: Faults }
  | { readonly do: 'cancel' | 'late-commit'; readonly flow: number }
  | { readonly do: 'cancel-task' | 'remove-task'; readonly task: number }
  | {
      readonly do: 'work';
      readonly queue: number;
      readonly want: number;
      readonly word: 'succeeded' | 'dead' | 'crash';
    }
  | {
      readonly do: 'relay';
      readonly queue: number;
      readonly what: 'take' | 'go-on';
      readonly dies: 'no' | 'before-note';
    }
  | { readonly do: 'sweep' }
  /** The world goes on for a while without faults, until every task that runs has ended so. */
  | { readonly do: 'go-on'; readonly word: 'succeeded' | 'dead' }
  | { readonly do: 'advance'; readonly ms: number };

/** The program dies after so many calls of the store, and each call before was made twice. */
export interface Faults {
  readonly diesAfter: number | undefined;
  readonly twice: boolean;
}
