// Sends all tasks of a queue that wait or are dead to another one.

import type { Redis } from 'ioredis';
import { newTaskId } from '../../src/protocol/task-id.ts';
import { homeOf } from '../../src/store/keys.ts';
import { createOperations, operate } from '../../src/store/operations.ts';

/** They are on their way then: a relay has them accepted. */
export async function moveAll(client: Redis, from: string, to: string): Promise<void> {
  const request = { action: 'move', filter: { queue: from }, to } as const;
  await createOperations(client).open(newTaskId(), request, undefined);
  for (let word = 'worked'; word === 'worked'; ) ({ word } = await operate(client, homeOf(from), 'me', 5));
}
