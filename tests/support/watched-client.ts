// A client for tests, which sees what it sends.

import { Popfleet } from '../../src/client/popfleet.ts';

/** A request. */
interface Seen {
  readonly method: string;
  readonly path: string;
  readonly body: string;
}

/** The client gives texts. */
function readRequest(url: unknown, init: RequestInit = {}) {
  const { method = 'GET', body } = init;
  return { method, pathname: new URL(url as string).pathname, body: (body ?? '') as string };
}

/** What is answered instead of the server. */
export type Answer = (seen: Seen, nth: number) => Response | 'break' | undefined;

/** A client whose requests are noted, and whose answers may be others. */
export function watchedClient(url: string, answer: Answer = () => undefined) {
  const requests: Seen[] = [];
  const client = new Popfleet({
    url,
    fetch: async (to, init) => {
      const { method, pathname, body } = readRequest(to, init);
      const seen = { method, path: pathname, body };
      requests.push(seen);
      const instead = answer(seen, requests.length);
      if (instead === 'break') throw new TypeError('fetch failed', { cause: new Error('read ECONNRESET') });
      return instead ?? fetch(to, init);
    },
  });
  return { client, requests };
}
