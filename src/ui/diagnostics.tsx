// A file for whoever helps: what the fleet, Redis and this server are and count, without an input, a result or a key.

import { callApi } from './api.ts';
import { useBusy } from './busy.ts';
import { problemOf } from './problem.ts';
import { saveFile } from './save-file.ts';
import { announce, announceProblem, readShared } from './shared.ts';

/** Groups of failures that go along. */
const MOST_FAILURES = 50;

/** @param queue whose ledger goes along; all queues unless told */
export function SaveDiagnostics({ queue }: { readonly queue?: string }) {
  const [isBusy, begin] = useBusy();
  const save = async (): Promise<void> => {
    try {
      saveFile('diagnostics', JSON.stringify(await collect(queue), withoutMessages, 2));
      announce('The diagnostics are saved as a file');
    } catch (error) {
      announceProblem('The diagnostics could not be read', problemOf(error));
    }
  };
  return (
    <button type="button" disabled={isBusy} onClick={() => void begin(save)}>
      Save diagnostics
    </button>
  );
}

/** The message of an error may have what its task was about. */
function withoutMessages(name: string, value: unknown): unknown {
  return name === 'message' ? undefined : value;
}

async function collect(queue: string | undefined): Promise<object> {
  const names = queue === undefined ? (readShared().fleet?.queues ?? []).map((one) => one.queue) : [queue];
  const [system, queues, workers, failures, ledgers] = await Promise.all([
    callApi('GET', 'system'),
    callApi('GET', 'queues'),
    callApi('GET', 'workers'),
    callApi('GET', `errors?limit=${MOST_FAILURES}`),
    inTurn(names),
  ]);
  return {
    madeAt: new Date().toISOString(),
    browser: navigator.userAgent,
    system,
    queues,
    workers,
    failures,
    ledgers,
  };
}

/** One after the other: there may be many queues. */
async function inTurn(names: readonly string[]): Promise<unknown[]> {
  const ledgers: unknown[] = [];
  for (const name of names) ledgers.push(await callApi('GET', `queues/${encodeURIComponent(name)}/ledger`));
  return ledgers;
}
