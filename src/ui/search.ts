// What may be typed to find tasks: an id, or conditions such as `state:dead type:mail tag:eu customer:4711`.

import { STATES } from './conservation.tsx';
import { linkTo } from './place.ts';

/** Conditions of a list of tasks, as the address has them; empty = any. */
export interface Filter {
  readonly queue: string;
  readonly state: string;
  readonly type: string;
  readonly tag: string;
  /** Name of an error. */
  readonly error: string;
  readonly fingerprint: string;
  /** A declared field with its value: `customer:4711`. */
  readonly field: string;
}

/** A task is `moved` while it is on its way to another queue. */
export const FILTER_STATES: readonly string[] = [...STATES, 'moved'];
const NAMES: readonly (keyof Filter)[] = ['queue', 'state', 'type', 'tag', 'error', 'fingerprint', 'field'];

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const FINGERPRINT = /^[0-9a-f]{16}$/;
const TYPE = /^[a-z0-9][a-z0-9_.-]{0,63}$/;
/** Quotes keep blanks together: `customer:"Ada Lovelace"`. */
const TOKEN = /(?:[^\s"]|"[^"]*")+/g;
const GRAMMAR =
  'A task is found by its whole id, or by conditions: state:dead, type:mail, tag:eu, error:TypeError, queue:mail, or a declared field such as customer:4711.';

export function readFilter(query: URLSearchParams, queue: string): Filter {
  const of = (name: keyof Filter): string => query.get(name) ?? '';
  return {
    queue: of('queue') || queue,
    state: of('state'),
    type: of('type'),
    tag: of('tag'),
    error: of('error'),
    fingerprint: of('fingerprint'),
    field: of('field'),
  };
}

/** The conditions that are set, but for the queue. */
export function conditionsOf(filter: Filter): readonly (readonly [name: keyof Filter, value: string])[] {
  return NAMES.filter((name) => name !== 'queue' && filter[name] !== '').map((name) => [name, filter[name]]);
}

export function linkToTasks(filter: Partial<Filter>, cursor?: string): string {
  return linkTo(['tasks'], { ...filter, cursor });
}

/** Where what was typed leads, or why nowhere. @param filter what is already set, and stays unless something else is typed */
export function findBy(
  text: string,
  filter: Partial<Filter> = {},
): { readonly link: string } | { readonly fault: string } {
  const typed = text.trim();
  if (UUID.test(typed)) return { link: linkTo(['tasks', typed.toLowerCase()]) };
  const found: Partial<Record<keyof Filter, string>> = {};
  for (const token of typed.match(TOKEN) ?? []) {
    const condition = readCondition(token.replaceAll('"', ''));
    if (condition === undefined) return { fault: `“${token}” is no condition. ${GRAMMAR}` };
    const [name, value] = condition;
    const before = found[name];
    if (before !== undefined && before !== value) {
      const kind = name === 'field' ? 'declared field' : name;
      return { fault: `“${token}” is a second ${kind}, beside “${before}”: one of each is possible.` };
    }
    found[name] = value;
  }
  return { link: linkToTasks({ ...filter, ...found }) };
}

function readCondition(token: string): readonly [keyof Filter, string] | undefined {
  const at = token.indexOf(':');
  const value = token.slice(at + 1);
  if (at === -1) return wordAlone(token);
  if (value === '') return undefined;
  const name = token.slice(0, at);
  if (name === 'state') return FILTER_STATES.includes(value) ? ['state', value] : undefined;
  const known = NAMES.find((one) => one === name && one !== 'field');
  if (known) return [known, value];
  return /^[A-Za-z]\w{0,63}$/.test(name) ? ['field', token] : undefined;
}

/** A state, a fingerprint, or else a type. */
function wordAlone(word: string): readonly [keyof Filter, string] | undefined {
  if (FILTER_STATES.includes(word)) return ['state', word];
  if (FINGERPRINT.test(word)) return ['fingerprint', word];
  return TYPE.test(word) ? ['type', word] : undefined;
}
