// A popfleet server that exists only as its HTTP surface, so that a test can make it misbehave on purpose.

import { randomUUID } from 'node:crypto';
import * as http from 'node:http';
import type { AddressInfo } from 'node:net';

export interface FakeTask {
  readonly id: string;
  readonly body: unknown;
  /** How often its record has been asked for. */
  looks: number;
}

export interface Misbehaviour {
  /** Answers the `nth` (from 1) `POST /v1/tasks` itself when it returns true. */
  send?(nth: number, response: http.ServerResponse): boolean;
  /** Answers a look at the task itself when it returns true. */
  look?(task: FakeTask, response: http.ServerResponse): boolean;
  /** Fields that the answer about the queue has besides. */
  readonly queue?: Readonly<Record<string, unknown>>;
}

export interface FakeServer {
  readonly url: URL;
  readonly tasks: readonly FakeTask[];
  /** How many connections were ever opened, requests open at the same time at most, looks at the queue. */
  readonly seen: { connections: number; mostOpen: number; queueLooks: number };
  /** Refuses connections for `ms` milliseconds, then listens again at the same port. */
  pauseListening(ms: number): void;
  close(): Promise<void>;
}

export async function startFakeServer(misbehaviour: Misbehaviour = {}): Promise<FakeServer> {
  const tasks: FakeTask[] = [];
  const byId = new Map<string, FakeTask>();
  const seen = { connections: 0, mostOpen: 0, queueLooks: 0 };
  let sends = 0;
  let open = 0;

  const send = (body: string, response: http.ServerResponse): void => {
    sends += 1;
    if (misbehaviour.send?.(sends, response)) return;
    const task: FakeTask = { id: randomUUID(), body: JSON.parse(body), looks: 0 };
    tasks.push(task);
    byId.set(task.id, task);
    answer(response, 202, { id: task.id, state: 'ready' });
  };
  const look = (id: string, response: http.ServerResponse): void => {
    const task = byId.get(id);
    if (task === undefined) return answerProblem(response, 404, 'not-found');
    task.looks += 1;
    if (misbehaviour.look?.(task, response)) return;
    answer(response, 200, recordOf(task, 'succeeded'));
  };
  const handle = (request: http.IncomingMessage, body: string, response: http.ServerResponse): void => {
    const path = (request.url ?? '').split('?')[0] ?? '';
    if (request.method === 'POST' && path === '/v1/tasks') return send(body, response);
    if (path.startsWith('/v1/tasks/')) return look(path.slice('/v1/tasks/'.length), response);
    seen.queueLooks += 1;
    answer(response, 200, {
      queue: 'default',
      paused: false,
      counts: { accepted: sends, succeeded: sends },
      ...misbehaviour.queue,
    });
  };

  const server = http.createServer((request, response) => {
    open += 1;
    seen.mostOpen = Math.max(seen.mostOpen, open);
    // Not `close`: the client may have sent its next request by then.
    response.once('finish', () => (open -= 1));
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
    request.once('end', () => handle(request, body, response));
  });
  server.on('connection', () => (seen.connections += 1));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  return {
    url: new URL(`http://127.0.0.1:${port}`),
    tasks,
    seen,
    pauseListening(ms) {
      server.close();
      setTimeout(() => server.listen(port, '127.0.0.1'), ms);
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

export function answer(response: http.ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

export function answerProblem(
  response: http.ServerResponse,
  status: number,
  code: string,
  headers: http.OutgoingHttpHeaders = {},
): void {
  const problem = { type: 'about:blank', title: code, status, detail: 'on purpose', code };
  response
    .writeHead(status, { 'content-type': 'application/problem+json', ...headers })
    .end(JSON.stringify(problem));
}

/** A record that waited 100 ms and ran for 20 ms. */
export function recordOf(task: FakeTask, state: string): unknown {
  return {
    id: task.id,
    type: 'add',
    state,
    acceptedAt: '2026-01-01T00:00:00.000Z',
    startedAt: '2026-01-01T00:00:00.100Z',
    finishedAt: state === 'running' ? null : '2026-01-01T00:00:00.120Z',
  };
}
