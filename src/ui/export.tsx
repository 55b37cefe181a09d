// Saves the dead tasks of a group as a file.

import { useState } from 'preact/hooks';
import { callApi } from './api.ts';
import type { ErrorGroup, Items, Task, TaskRow } from './api-types.d.ts';
import { toCount } from './format.ts';
import { problemOf } from './problem.ts';
import { saveFile } from './save-file.ts';
import { announce, announceProblem } from './shared.ts';

/** More of them are for a program: `popfleet dead export`. */
const MOST = 1_000;
const ROWS_A_PAGE = 200;
const AT_ONCE = 8;

/** A JSON document a line, with inputs and errors, as the command line has them. */
export function Export({ group }: { readonly group: ErrorGroup }) {
  const [count, setCount] = useState<number>();
  const save = async (): Promise<void> => {
    setCount(0);
    try {
      const lines = await read(group, setCount);
      saveFile(`dead-${group.fingerprint}`, lines.map((line) => `${line}\n`).join(''), 'ndjson');
      announce(
        lines.length < MOST
          ? `${toCount(lines.length)} tasks are saved as a file`
          : `The first ${toCount(MOST)} are saved as a file. popfleet dead export has all`,
      );
    } catch (error) {
      announceProblem('The tasks could not be read', problemOf(error));
    }
    setCount(undefined);
  };
  return (
    <button
      type="button"
      aria-disabled={count !== undefined}
      aria-label={`Export from ${group.queue}`}
      onClick={() => (count === undefined ? void save() : undefined)}
    >
      {count === undefined ? 'Export' : `Export: ${toCount(count)} read`}
    </button>
  );
}

async function read(
  { queue, fingerprint }: ErrorGroup,
  onRead: (count: number) => void,
): Promise<readonly string[]> {
  const lines: string[] = [];
  let cursor: string | undefined;
  do {
    const query = new URLSearchParams({ queue, state: 'dead', fingerprint, limit: String(ROWS_A_PAGE) });
    if (cursor !== undefined) query.set('cursor', cursor);
    const page = await callApi<Items<TaskRow>>('GET', `tasks?${query.toString()}`);
    const rows = page.items.slice(0, MOST - lines.length);
    for (let at = 0; at < rows.length; at += AT_ONCE) {
      const some = rows.slice(at, at + AT_ONCE).map(({ id }) => taskOf(id));
      lines.push(...(await Promise.all(some)).filter((line) => line !== undefined));
      onRead(lines.length);
    }
    cursor = page.next;
  } while (cursor !== undefined && lines.length < MOST);
  return lines;
}

/** `undefined`: it is gone meanwhile. */
async function taskOf(id: string): Promise<string | undefined> {
  try {
    return JSON.stringify(await callApi<Task>('GET', `tasks/${id}`));
  } catch (error) {
    if (problemOf(error).status === 404) return undefined;
    throw error;
  }
}
