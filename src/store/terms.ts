// Terms: what tasks are found by beside their ids. Each place keeps an index of them (lua/lib/terms.lua): tags, and the fields that a
// definition declares; of a dead task also the name and the fingerprint of its error. A task without any costs nothing there.

import type { Redis } from 'ioredis';
import type { Place } from './keys.ts';
import { runScript } from './scripts.ts';

/** A value that a task is found by, as text: `42` and `'42'` are the same. */
export type SearchFields = ReadonlyMap<string, string>;

const NO_TAGS: readonly string[] = [];

export function tagTerm(tag: string): string {
  return `tag=${escapeText(tag)}`;
}

export function fieldTerm(name: string, value: string): string {
  return `field.${name}=${escapeText(value)}`;
}

/** @param name of the error of a dead task */
export function errorTerm(name: string): string {
  return `error=${escapeText(name)}`;
}

/** @param fingerprint of the error of a dead task, or `other` */
export function fingerprintTerm(fingerprint: string): string {
  return `fingerprint=${fingerprint}`;
}

/** `customer:4711`: a declared field and a value of it. */
export const FIELD = /^([A-Za-z]\w{0,63}):([\s\S]{1,128})$/;

/** The terms of a search; those that fewest tasks have come first, as a rule. @param field as `FIELD` */
export function termsOf(search: {
  readonly fingerprint?: string | undefined;
  readonly error?: string | undefined;
  readonly tag?: string | undefined;
  readonly field?: string | undefined;
}): string[] {
  const { fingerprint, error, tag, field } = search;
  const terms: string[] = [];
  if (fingerprint !== undefined) terms.push(fingerprintTerm(fingerprint));
  if (error !== undefined) terms.push(errorTerm(error));
  if (tag !== undefined) terms.push(tagTerm(tag));
  const [, name = '', value = ''] = FIELD.exec(field ?? '') ?? [];
  if (name !== '') terms.push(fieldTerm(name, value));
  return terms;
}

/** Blanks stand between terms, and between a term and an id; what else is no plain sign is written as in a URL too. */
export function escapeText(text: string): string {
  return text.replace(/[\p{Cc} %=]/gu, encodeURIComponent);
}

/** As the column `terms` keeps them, each once; `undefined` when there are none. @param tags perhaps with blanks around them */
export function writeTerms(tags: readonly string[] = NO_TAGS, fields: SearchFields): string | undefined {
  if (tags.length === 0 && fields.size === 0) return undefined;
  const ofTags = tags.map((tag) => tagTerm(tag.trim()));
  const ofFields = Array.from(fields, ([name, value]) => fieldTerm(name, value));
  const terms = new Set([...ofTags, ...ofFields]);
  return [...terms].join(' ');
}

/** Reads the column `terms`. What another program has spoilt is left out. */
export function readTerms(text: string): { readonly tags: readonly string[]; readonly fields: SearchFields } {
  const tags: string[] = [];
  const fields = new Map<string, string>();
  for (const term of text.split(' ')) {
    const [, tag, name, escaped = ''] = /^(?:(tag)|field\.(\w+))=(.*)$/s.exec(term) ?? [];
    const value = unescapeText(escaped);
    if (value === undefined) continue;
    if (tag !== undefined) tags.push(value);
    else if (name !== undefined) fields.set(name, value);
  }
  return { tags, fields };
}

function unescapeText(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

export interface TermQuery {
  /** A task is wanted that has all of them; at least one. */
  readonly terms: readonly string[];
  /** Begins behind this id; `undefined` = with the newest task. It need not be there any more. */
  readonly behind: string | undefined;
  /** Tasks that are looked at, at most: those of the term that fewest have. */
  readonly count: number;
}

/**
 * Ids of a place's tasks that have all of these terms, the newest first.
 * @returns also the id to go on behind; `undefined` when there are no more
 * @throws Error of ioredis
 */
export async function taskIdsBy(
  client: Redis,
  place: Place,
  { terms, behind = '', count }: TermQuery,
): Promise<{ readonly ids: readonly string[]; readonly next: string | undefined }> {
  const [next, ids] = (await runScript(client, 'search', place, [count, behind, ...terms])) as [
    Buffer,
    Buffer[],
  ];
  return { ids: ids.map(String), next: next.length === 0 ? undefined : next.toString() };
}
