// The client in Python: what it sends again, how it comes back after a break, what it keeps to itself, and which webhooks it believes.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text as readAll } from 'node:stream/consumers';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createSecret, signedHeaders } from '../../src/webhooks/signature.ts';
import { hasPython, NO_PYTHON, python } from '../support/python.ts';
import { freePort } from '../support/redis.ts';

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** A server that answers by hand, and notes what it was asked. */
async function serve(
  answer: (response: ServerResponse, nth: number) => void,
): Promise<{ url: string; seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const { method = '', url = '', headers } = request;
    void readAll(request).then((body) => {
      seen.push({ method, url, headers, body });
      answer(response, seen.length);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

function json(
  response: ServerResponse,
  status: number,
  body: object,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

const OPEN = 'import os\nfrom popfleet import *\npopfleet = Popfleet(os.environ["URL"], key="secret")\n';
const run = (url: string, program: string): Promise<string> => python(OPEN + program, { URL: url });
/** Prints the error that a line ends with. */
const failing = (line: string): string =>
  `try:\n  ${line}\nexcept Exception as error:\n  print(type(error).__name__, getattr(error, "code", ""), error)\n`;

describe.skipIf(!hasPython)(hasPython ? 'in Python' : NO_PYTHON, () => {
  test('what may have got lost is sent again with the same key', async () => {
    const { url, seen } = await serve((response, nth) => {
      if (nth === 1) response.destroy();
      else if (nth === 2)
        json(response, 503, { code: 'overloaded', detail: 'Busy.' }, { 'retry-after': '0' });
      else json(response, 202, { id: 'one' });
    });
    expect(await run(url, 'print(popfleet.enqueue("add", {"one": 1}, delayMs=5)["id"])')).toBe('one\n');
    expect(seen).toHaveLength(3);
    expect(new Set(seen.map(({ body }) => body)).size).toBe(1);
    const uuid = expect.stringMatching(/^[0-9a-f-]{36}$/);
    expect(JSON.parse(seen[0]?.body ?? '')).toEqual({
      type: 'add',
      input: { one: 1 },
      delayMs: 5,
      key: uuid,
    });
    expect(seen[0]?.headers['authorization']).toBe('Bearer secret');
  });

  test('a task that takes nothing gets an empty object, and None is null', async () => {
    const { url, seen } = await serve((response) =>
      json(response, 200, { id: 'one', state: 'succeeded', result: 1 }),
    );
    await run(url, 'popfleet.enqueue("tidy")\npopfleet.enqueue("tidy", None)\npopfleet.run("tidy")');
    const sent = seen.filter(({ method }) => method === 'POST').map(({ body }) => JSON.parse(body) as object);
    expect(sent).toMatchObject([{ input: {} }, { input: null }, { input: {} }]);
  });

  test('refusals say what is wrong, and are not repeated; the key goes nowhere else', async () => {
    const other = await serve((response) => json(response, 200, { id: 'stolen' }));
    const { url, seen } = await serve((response, nth) => {
      if (nth === 1)
        json(response, 422, { code: 'invalid-input', detail: 'Wrong.', errors: [{ pointer: '#/input' }] });
      else if (nth === 2) response.writeHead(302, { location: other.url }).end();
      else response.end('<html>');
    });
    const get = failing('popfleet.get("x")');
    expect(await run(url, get + get + get)).toBe(
      `ApiError invalid-input Wrong.\nApiError http-302 The answer was HTTP 302, without the form of popfleet.\nApiError not-popfleet ${url} answers, but not as popfleet does (HTTP 200).\n`,
    );
    expect([seen.length, other.seen.length]).toEqual([3, 0]);
    const nobody = `http://127.0.0.1:${await freePort()}`;
    expect(await python(`${OPEN}popfleet._retries = 0\n${get}`, { URL: nobody })).toMatch(
      /^ApiError unreachable .* cannot be reached: /,
    );
  });

  test('a wait goes on, and has an end; events go on where a connection broke', async () => {
    const { url, seen } = await serve((response, nth) => {
      if (nth <= 2) json(response, 200, { id: 'x', state: nth === 1 ? 'running' : 'succeeded', result: 3 });
      else if (nth === 3) json(response, 200, { id: 'x', state: 'ready' });
      else if (nth === 4) {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(
          'retry: 2000\n: \n\nid: 1\nevent: snapshot\ndata: {"state":"ready"}\n\nid: 2\nevent: st',
          () => response.destroy(),
        );
      } else response.end('id: 3\nevent: end\ndata: {"state":"succeeded"}\n\n');
    });
    const program = `print(popfleet.wait("x")["result"])\n${failing('popfleet.wait("x", timeout=0)')}for event in popfleet.events("x"): print(*event)`;
    expect(await run(url, program)).toBe(
      "3\nWaitTimeout  The task x has not ended in time; it goes on.\nsnapshot {'state': 'ready'}\nend {'state': 'succeeded'}\n",
    );
    expect(seen.map((one) => [one.url, one.headers['last-event-id']])).toEqual([
      ['/v1/tasks/x?wait=50', undefined],
      ['/v1/tasks/x?wait=50', undefined],
      ['/v1/tasks/x?wait=0', undefined],
      ['/v1/tasks/x/events', undefined],
      ['/v1/tasks/x/events', '1'],
    ]);
  });

  test('a wait keeps its time when the server wants to be left alone, and begins again when it had answered', async () => {
    const { url, seen } = await serve((response, nth) => {
      if (nth === 1) json(response, 200, { id: 'x', state: 'running' });
      else if (nth === 2) json(response, 429, { code: 'quota-exceeded' }, { 'retry-after': '30' });
      else if (nth === 3) json(response, 202, { id: 'y' });
      else if (nth <= 8) response.destroy();
      else json(response, 200, { id: 'y', state: 'succeeded', result: 3 });
    });
    const program = `import time\nbegan = time.monotonic()\n${failing('popfleet.wait("x", timeout=1)')}print(time.monotonic() - began < 15)\nprint(popfleet.run("add"))`;
    expect(await run(url, program)).toBe(
      'WaitTimeout  The task x has not ended in time; it goes on.\nTrue\n3\n',
    );
    expect(seen.map((one) => one.url.slice(9))).toEqual([
      '/x?wait=1',
      '/x?wait=1',
      '',
      ...Array.from({ length: 6 }, () => '/y?wait=50'),
    ]);
  });

  test('events begin although the server is busy at first, and come back when it says', async () => {
    const { url, seen } = await serve((response, nth) => {
      if (nth === 1) json(response, 503, { code: 'overloaded' }, { 'retry-after': '0' });
      else if (nth === 2) response.end('id: 1\nevent: state\ndata: 1\n\n');
      else if (nth === 3) json(response, 429, { code: 'quota-exceeded' }, { 'retry-after': '3' });
      else if (nth === 5) json(response, 503, { code: 'overloaded' }, { 'retry-after': '0' });
      else response.end('event: end\ndata: 2\n\n');
      times.push(performance.now());
    });
    const times: number[] = [];
    const program = 'for event in popfleet.events("x"): print(*event)\n';
    // The server has just answered, so that it is waited for without any retries.
    expect(await run(url, `${program}popfleet._retries = 0\n${program}`)).toBe('state 1\nend 2\nend 2\n');
    expect(seen.map((one) => one.headers['last-event-id'])).toEqual([
      undefined,
      undefined,
      '1',
      '1',
      undefined,
      undefined,
    ]);
    expect((times[3] ?? 0) - (times[2] ?? 0)).toBeGreaterThanOrEqual(2_990);
  });

  test('errors can be sent to another process', async () => {
    const program = `import pickle
for error in [TaskFailed({'id': 'x', 'error': {'message': 'no'}}), TaskCancelled({'id': 'y'}), WaitTimeout('z'), ApiError('busy', 429, 'overloaded', None, 3)]:
  again = pickle.loads(pickle.dumps(error))
  print(type(again).__name__, again, vars(again) == vars(error))
`;
    expect(await run('http://none.test', program)).toBe(
      'TaskFailed The task x failed: no True\nTaskCancelled The task y was cancelled. True\n' +
        'WaitTimeout The task z has not ended in time; it goes on. True\nApiError busy True\n',
    );
  });

  test('a webhook is believed when its signature is right and its time is near', async () => {
    const [old, secret] = [createSecret(), createSecret()];
    const body = '{"type":"task.succeeded","data":{"result":"ü"}}';
    const at = 1_764_130_000;
    const headers = JSON.stringify(signedHeaders([secret, old], 'msg_1', at, body));
    const check = (given: string, text: string, now: number): string =>
      failing(
        `print(verify_webhook(${JSON.stringify(given)}, ${headers}, ${JSON.stringify(text)}.encode(), now=${now})["type"])`,
      );
    const said = await run(
      'http://none.test',
      [
        check(secret, body, at + 299),
        check(old, body, at),
        check(createSecret(), body, at),
        check(secret, body.replace('ü', 'u'), at),
        check(secret, body, at + 301),
        check('whsec_?', body, at),
        check('whsec_ü', body, at),
        failing('print(verify_webhook("", {}, b""))'),
      ].join(''),
    );
    expect(said.trimEnd().split('\n')).toEqual([
      'task.succeeded',
      'task.succeeded',
      'WebhookError  No signature is that of this secret over this body.',
      'WebhookError  No signature is that of this secret over this body.',
      'WebhookError  The message was signed more than 300 seconds ago, or ahead.',
      'WebhookError  The secret must be whsec_ and base64.',
      'WebhookError  The secret must be whsec_ and base64.',
      'WebhookError  The headers webhook-id, webhook-timestamp and webhook-signature must be there.',
    ]);
  });
});
