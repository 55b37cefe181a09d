// Where the page is: the part of the address behind `#`, such as `#/tasks?state=dead`. Filters stand there, so every view
// can be bookmarked, and the server needs to know no path of the dashboard.

import { useEffect, useState } from 'preact/hooks';

export interface Place {
  /** Parts of the path, decoded; empty at the overview. */
  readonly path: readonly string[];
  readonly query: URLSearchParams;
}

function readPlace(): Place {
  const hash = location.hash.startsWith('#/') ? location.hash.slice(2) : '';
  const [path = '', query = ''] = hash.split('?', 2);
  return { path: path.split('/').filter(Boolean).map(decode), query: new URLSearchParams(query) };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** @param query values that are `undefined` or empty are left out */
export function linkTo(
  path: readonly string[],
  query: Readonly<Record<string, string | undefined>> = {},
): string {
  const set = Object.entries(query).filter((entry): entry is [string, string] => Boolean(entry[1]));
  const search = set.length === 0 ? '' : `?${new URLSearchParams(set).toString()}`;
  return `#/${path.map(encodeURIComponent).join('/')}${search}`;
}

export const linkToTask = (id: string): string => linkTo(['tasks', id]);
export const linkToWorkflow = (id: string): string => linkTo(['workflows', id]);
export const linkToBatch = (id: string): string => linkTo(['batches', id]);
export const linkToWorker = (worker: string): string => linkTo(['workers', worker]);
export const linkToQueue = (queue: string): string => linkTo(['queues', queue]);

export function go(link: string): void {
  location.hash = link;
}

/** The place, as it changes. */
export function usePlace(): Place {
  const [place, setPlace] = useState(readPlace);
  const [drawn] = useState(location.hash);
  useEffect(() => {
    const read = (): void => setPlace(readPlace());
    addEventListener('hashchange', read);
    // It may have changed since the first drawing, when nobody listened yet.
    if (location.hash !== drawn) read();
    return () => removeEventListener('hashchange', read);
  }, []);
  return place;
}
