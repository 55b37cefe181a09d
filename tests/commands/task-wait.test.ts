// `popfleet task wait`, beside what happens to the task meanwhile.

import { expect, test } from 'vitest';
import { runCommand } from '../support/command-line.ts';
import { eventually } from '../support/eventually.ts';
import { call, post } from '../support/http.ts';
import { send } from '../support/life.ts';
import { withServer } from '../support/with-server.ts';

const server = withServer({ heartbeatMs: 200, leaseMs: 2_000 });

test('a task that is moved is waited for in its other queue, however long that may take', async () => {
  const popfleet = (line: string) => runCommand(line.split(' '), { env: { POPFLEET_URL: server.url() } });
  // A task can go only where there is a queue.
  await send(server.url(), 'add', { one: 1, two: 2 }, { queue: 'came' });
  const id = await send(server.url(), 'add', { one: 1, two: 2 }, { queue: 'left', delayMs: 3_600_000 });
  // Longer than any timer counts.
  const waiting = popfleet(`task wait ${id} --timeout 30d`);
  const request = { action: 'move', filter: { queue: 'left', ids: [id] }, to: 'came' };
  const operations = `${server.url()}/v1/operations`;
  const { body } = await post(operations, { ...request, dryRun: true });
  await post(operations, { ...request, confirm: body['confirm'] });
  const queueOf = async () => (await call(`${server.url()}/v1/tasks/${id}`)).body['queue'];
  await eventually(async () => (await queueOf()) === 'came');
  await popfleet(`task cancel ${id}`);
  expect((await waiting).stderr).toContain(`The task ${id} is cancelled`);
});
