// The conditions of a list of tasks: chosen, typed, and taken away again.

import type { Items, TaskType } from './api-types.d.ts';
import { Choice } from './choice.tsx';
import { go } from './place.ts';
import { useResource } from './resource.ts';
import { conditionsOf, type Filter, FILTER_STATES, linkToTasks } from './search.ts';
import { useFind } from './use-find.ts';

export function TaskFilters({
  filter,
  names,
}: {
  readonly filter: Filter;
  readonly names: readonly string[];
}) {
  const set = (part: Partial<Filter>): void => go(linkToTasks({ ...filter, ...part }));
  const known = names.includes(filter.queue) ? names : [filter.queue, ...names];
  return (
    <div class="task-filters">
      <form class="filters" aria-label="Filter" onSubmit={(event) => event.preventDefault()}>
        <Choice label="Queue" value={filter.queue} choices={known} set={(queue) => set({ queue })} />
        <Choice
          label="State"
          value={filter.state}
          choices={['', ...FILTER_STATES]}
          empty="any"
          set={(state) => set({ state })}
        />
        <Conditions filter={filter} />
      </form>
      <Chips filter={filter} />
    </div>
  );
}

/** Each word that is typed becomes a chip. */
function Conditions({ filter }: { readonly filter: Filter }) {
  const { fault, find, forget } = useFind(filter);
  const { data } = useResource<Items<TaskType>>('types', 0);
  return (
    <div class="filters-wide">
      <label for="find">Find</label>
      <input
        id="find"
        list="find-words"
        placeholder="type:mail tag:eu error:TypeError customer:4711"
        autocomplete="off"
        spellcheck={false}
        aria-invalid={fault === undefined ? undefined : true}
        aria-describedby={fault === undefined ? undefined : 'find-fault'}
        onInput={forget}
        onKeyDown={(event) => {
          if (event.key === 'Enter') find(event.currentTarget);
        }}
      />
      <datalist id="find-words">
        {data?.items.map(({ type }) => (
          <option key={type} value={`type:${type}`} />
        ))}
      </datalist>
      {fault === undefined ? undefined : (
        <span id="find-fault" class="fault" role="alert">
          {fault}
        </span>
      )}
    </div>
  );
}

function Chips({ filter }: { readonly filter: Filter }) {
  const conditions = conditionsOf(filter).filter(([name]) => name !== 'state');
  if (conditions.length === 0) return null;
  return (
    <ul class="conditions" aria-label="Conditions">
      {conditions.map(([name, value]) => (
        <li key={name}>
          <a
            class="chip condition"
            href={linkToTasks({ ...filter, [name]: '' })}
            aria-label={`Take away ${name} ${value}`}
          >
            <span class="muted">{name === 'field' ? '' : `${name} `}</span>
            {value}
            <span aria-hidden="true">✕</span>
          </a>
        </li>
      ))}
      <li>
        <a href={linkToTasks({ queue: filter.queue })}>Clear</a>
      </li>
    </ul>
  );
}
