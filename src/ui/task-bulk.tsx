// What can be done to many tasks of a list: to those that are selected or, while none is, to all that match.

import { useState } from 'preact/hooks';
import type { Act, OperationCall } from './api-types.d.ts';
import { Choice } from './choice.tsx';
import { Bulk } from './bulk.tsx';
import { plural, toCount } from './format.ts';
import { conditionsOf, type Filter } from './search.ts';

/** In which states a task may be for an action, as the server has it; the others are left alone. */
const ACTS = {
  retry: { verb: 'Retry', states: ['dead'], result: 'They run again, each with all its attempts.' },
  cancel: {
    verb: 'Cancel',
    states: ['waiting', 'scheduled', 'ready', 'running'],
    result: 'Those that wait will not run. Those that run are asked to stop.',
  },
  move: {
    verb: 'Move',
    states: ['scheduled', 'ready', 'dead'],
    result: 'They go to the other queue under their ids. Dead ones run again there.',
  },
  delete: {
    verb: 'Delete',
    states: ['waiting', 'scheduled', 'ready', 'succeeded', 'dead', 'cancelled'],
    result: 'Their inputs, results, errors and logs are removed for good. Those that run are left alone.',
  },
} as const satisfies Record<Act, { verb: string; states: readonly string[]; result: string }>;

export interface Scope {
  readonly filter: Filter;
  /** The selected ones; empty = all that match. */
  readonly ids: readonly string[];
  /** States of the tasks that are meant; empty = any. */
  readonly states: readonly string[];
}

/** @param queues to which tasks can be moved, and the one that they are in */
export function TaskBulk({ scope, queues }: { readonly scope: Scope; readonly queues: readonly string[] }) {
  const others = queues.filter((name) => name !== scope.filter.queue && name !== 'webhooks');
  const fits = (act: Act): boolean => {
    const states: readonly string[] = ACTS[act].states;
    return scope.states.length === 0 || scope.states.some((state) => states.includes(state));
  };
  return (
    <>
      {(['retry', 'cancel'] as const).filter(fits).map((act) => (
        <Bulk key={act} {...wordsOf(act, scope)} call={callOf(act, scope)} />
      ))}
      {fits('move') && others.length > 0 ? <Move scope={scope} queues={others} /> : undefined}
      {fits('delete') ? (
        <Bulk tone="danger" {...wordsOf('delete', scope)} call={callOf('delete', scope)} />
      ) : undefined}
    </>
  );
}

function Move({ scope, queues }: { readonly scope: Scope; readonly queues: readonly string[] }) {
  const [to, setTo] = useState(queues[0] ?? '');
  return (
    <Bulk {...wordsOf('move', scope)} call={{ ...callOf('move', scope), to }}>
      <Choice label="To the queue" value={to} choices={queues} isField set={setTo} />
    </Bulk>
  );
}

function callOf(action: Act, { filter, ids }: Scope): OperationCall {
  const conditions = ids.length > 0 ? { ids } : Object.fromEntries(conditionsOf(filter));
  return { action, filter: { queue: filter.queue, ...conditions } };
}

function wordsOf(act: Act, { filter, ids }: Scope): { readonly label: string; readonly words: string } {
  const { verb, states, result } = ACTS[act];
  const { queue, state } = filter;
  const others = conditionsOf(filter).filter(([name]) => name !== 'state');
  const which =
    ids.length > 0
      ? `${plural(ids.length, 'selected task')} of “${queue}”`
      : [`All ${state} tasks of “${queue}”`, ...others.map(([name, value]) => `with ${name} ${value}`)].join(
          ' ',
        );
  const condition = ids.length === 0 && state !== '' ? '' : `, as far as they are ${states.join(', ')}`;
  return {
    label: ids.length > 0 ? `${verb} ${toCount(ids.length)}` : `${verb} all`,
    words: `${which}${condition}. ${result}`.replace('  ', ' '),
  };
}
