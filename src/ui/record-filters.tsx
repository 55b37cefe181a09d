// What the lists of workflows and batches are filtered by.

import { Choice } from './choice.tsx';
import { go, linkTo } from './place.ts';

/** `''` = any. */
export interface Conditions {
  readonly state: string;
  readonly name: string;
}

/** A list of records: its screen, and the states that they may have. */
export interface FilteredList {
  readonly screen: 'workflows' | 'batches';
  readonly states: readonly string[];
}

export function readConditions(query: URLSearchParams, { states }: FilteredList): Conditions {
  const state = query.get('state') ?? '';
  return { state: states.includes(state) ? state : '', name: query.get('name') ?? '' };
}

export function isFiltered({ state, name }: Conditions): boolean {
  return state !== '' || name !== '';
}

/** @param cursor of the page; the first one unless given */
export function linkToList({ screen }: FilteredList, conditions: Conditions, cursor?: string): string {
  return linkTo([screen], { ...conditions, cursor });
}

/** What the API is asked for. */
export function queryOf(conditions: Conditions, cursor: string, limit: number): string {
  const given = { ...conditions, cursor, limit: String(limit) };
  return new URLSearchParams(Object.entries(given).filter(([, value]) => value !== '')).toString();
}

export function RecordFilters({ list, of }: { readonly list: FilteredList; readonly of: Conditions }) {
  return (
    <form class="filters" aria-label="Filter" onSubmit={(event) => event.preventDefault()}>
      <Choice
        label="State"
        value={of.state}
        choices={['', ...list.states]}
        empty="any"
        set={(state) => go(linkToList(list, { ...of, state }))}
      />
      <label>
        Name
        <input
          id="record-name"
          type="search"
          placeholder="begins with…"
          autocomplete="off"
          spellcheck={false}
          value={of.name}
          onChange={({ currentTarget }) => go(linkToList(list, { ...of, name: currentTarget.value.trim() }))}
        />
      </label>
    </form>
  );
}
