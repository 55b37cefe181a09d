// Which clients follow a queue, a task, an operation, a workflow or a batch, so that an entry is handed only to the clients it is about.

import type { EventEntry, News, TaskMove } from '../../store/event-entry.ts';

export interface EventIndex<Client> {
  addQueue(queue: string, client: Client): void;
  removeQueue(queue: string, client: Client): void;
  /** @param id of a task, an operation, a workflow or a batch */
  addTask(id: string, client: Client): void;
  removeTask(id: string, client: Client): void;
  /** Clients that follow the queue, wholly or for single tasks. */
  inQueue(queue: string): Iterable<Client>;
  /** The parts of the entries that are about what each client has named. */
  shareByTask(entries: readonly EventEntry[]): ReadonlyMap<Client, readonly EventEntry[]>;
}

interface Part {
  readonly moves: TaskMove[];
  readonly progress: string[];
  readonly news: News[];
}

export function createEventIndex<Client>(): EventIndex<Client> {
  const queues = new Map<string, Set<Client>>();
  const tasks = new Map<string, Set<Client>>();

  function partsOf({ moves, progress, news }: EventEntry): Map<Client, Part> {
    const parts = new Map<Client, Part>();
    const partOf = (client: Client): Part => {
      const part = parts.get(client) ?? { moves: [], progress: [], news: [] };
      parts.set(client, part);
      return part;
    };
    for (const move of moves) for (const client of tasks.get(move.id) ?? []) partOf(client).moves.push(move);
    for (const id of progress) for (const client of tasks.get(id) ?? []) partOf(client).progress.push(id);
    for (const one of news) for (const client of tasks.get(one.id) ?? []) partOf(client).news.push(one);
    return parts;
  }

  return {
    addQueue: (queue, client) => add(queues, queue, client),
    removeQueue: (queue, client) => remove(queues, queue, client),
    addTask: (id, client) => add(tasks, id, client),
    removeTask: (id, client) => remove(tasks, id, client),
    inQueue: (queue) => queues.get(queue) ?? [],

    shareByTask(entries) {
      const shares = new Map<Client, EventEntry[]>();
      if (tasks.size === 0) return shares;
      for (const entry of entries) {
        for (const [client, part] of partsOf(entry)) {
          const share = shares.get(client) ?? [];
          shares.set(client, share);
          share.push({ ...entry, ...part });
        }
      }
      return shares;
    },
  };
}

function add<T>(sets: Map<string, Set<T>>, key: string, value: T): void {
  sets.set(key, (sets.get(key) ?? new Set<T>()).add(value));
}

function remove<T>(sets: Map<string, Set<T>>, key: string, value: T): void {
  const found = sets.get(key);
  found?.delete(value);
  if (found?.size === 0) sets.delete(key);
}
