// A field in which conditions are typed: it leads to the tasks that have them, or says why it cannot.

import { useState } from 'preact/hooks';
import { go } from './place.ts';
import { type Filter, findBy } from './search.ts';

/**
 * @param filter what is already set
 * @returns why the last text led nowhere; what is done on Enter; what is done when somebody types on
 */
export function useFind(filter?: Filter): {
  readonly fault: string | undefined;
  readonly find: (input: HTMLInputElement) => void;
  readonly forget: () => void;
} {
  const [fault, setFault] = useState<string>();
  const find = (input: HTMLInputElement): void => {
    if (input.value.trim() === '') return;
    const found = findBy(input.value, filter);
    setFault('fault' in found ? found.fault : undefined);
    if ('fault' in found) return;
    input.value = '';
    go(found.link);
  };
  return { fault, find, forget: () => setFault(undefined) };
}
