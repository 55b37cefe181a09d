// Answers of tools that are too long for a model, and how it gets the rest of them.

import { expect, test } from 'vitest';
import { createTransport, type Transport } from '../../src/client/transport.ts';
import type { ApiDocument } from '../../src/mcp/api-document.ts';
import { callTool, RESULT_CHARS } from '../../src/mcp/call-tool.ts';
import { allToolsOf, type ApiTool } from '../../src/mcp/tools.ts';
import { post } from '../support/http.ts';
import { withServer } from '../support/with-server.ts';

const server = withServer();

async function tools(): Promise<readonly ApiTool[]> {
  return allToolsOf((await (await fetch(`${server.url()}/openapi.json`)).json()) as ApiDocument, false);
}

async function called(
  name: string,
  args: object,
  transport = createTransport({ url: server.url() }),
): Promise<{ text: string }> {
  const tool = (await tools()).find(({ listed }) => listed.name === name) as ApiTool;
  const deps = { transport, hintFor: () => undefined };
  const { content } = await callTool(
    deps,
    tool,
    args as Record<string, unknown>,
    new AbortController().signal,
  );
  return content[0];
}

test('a list that has no pages is read on behind what was said', async () => {
  const queues = Array.from({ length: 90 }, (_, at) => `wide-${String(at).padStart(2, '0')}`);
  const send = `${server.url()}/v1/tasks`;
  for (const queue of queues) await post(send, { type: 'add', input: { one: 1, two: 2 }, queue });
  const names: string[] = [];
  for (let skip = 0, calls = 0; calls < 20; calls += 1) {
    const { text } = await called('listQueues', { skip });
    expect(text.length).toBeLessThan(RESULT_CHARS + 500);
    const [json = '', advice] = text.split('\n');
    const { items } = JSON.parse(json) as { items: { queue: string }[] };
    names.push(...items.map(({ queue }) => queue));
    if (advice === undefined) break;
    expect(advice).not.toContain('limit');
    skip = Number(/ skip (\d+)\.$/.exec(advice)?.[1]);
  }
  expect(names.filter((name) => name.startsWith('wide-'))).toEqual(queues);
  const withSkip = (await tools()).filter(
    ({ listed }) => 'skip' in (listed.inputSchema['properties'] as object),
  );
  expect(withSkip.map(({ listed: { name } }) => name).toSorted()).toEqual([
    'getError',
    'getScale',
    'getTypeRuns',
    'getWorker',
    'listOperations',
    'listQueues',
    'listSchedules',
    'listTypes',
    'listWorkers',
  ]);
});

test('a list that is cut keeps what stands beside it', async () => {
  const items = Array.from({ length: 9 }, (_, at) => ({ worker: `${at}`, about: 'x'.repeat(7_000) }));
  const lost = [{ worker: 'gone' }];
  const asked = async (all: object[], skip: number): Promise<unknown[]> => {
    const transport = { json: () => Promise.resolve({ items: all, lost }) } as unknown as Transport;
    const { text } = await called('listWorkers', { skip }, transport);
    const [json = '', ...advice] = text.split('\n');
    return [JSON.parse(json), ...advice];
  };
  const words = (count: number, next: number): string =>
    `The answer was too long, so ${count} of 9 items are left off: call it again with skip ${next}.`;
  expect(await asked(items, 0)).toEqual([{ items: items.slice(0, 4), lost }, words(5, 4)]);
  expect(await asked(items, 6)).toEqual([{ items: items.slice(6), lost }]);
});
