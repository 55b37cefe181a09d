// Where a standard says that a server is liberal, or what an answer has to say: RFC 7240, 9110, 9112 and 9562.

import { describe, expect, test } from 'vitest';
import { preferredMedia } from '../../src/server/preferred-media.ts';
import { listElements } from '../../src/server/header-list.ts';
import { eventually } from '../support/eventually.ts';
import { call, post } from '../support/http.ts';
import { rawExchange, rawRequest } from '../support/raw-http.ts';
import { openForTest } from '../support/sse.ts';
import { withServer } from '../support/with-server.ts';

const one = withServer();
const TASK = JSON.stringify({ one: 1, two: 2 });
const JSON_TYPE = { 'content-type': 'application/json' };

describe('case 24: HTTP/1.0 without a Host', () => {
  test.each(['/healthz', '/readyz', '/docs', '/v1/queues'])('GET %s is answered', async (path) => {
    const answer = await rawExchange(one.url(), `GET ${path} HTTP/1.0\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(answer).not.toMatch(/transfer-encoding/i); // HTTP/1.0 does not know it
  });

  test('a connection that is kept serves the next request', async () => {
    const probe = 'GET /healthz HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n';
    const answer = await rawExchange(one.url(), `${probe}HEAD /healthz HTTP/1.0\r\n\r\n`);
    expect(answer.match(/HTTP\/1\.1 200 /g)).toHaveLength(2);
  });

  test.each([
    'GET /healthz HTTP/1.1\r\nConnection: close',
    'GET /healthz HTTP/1.0\r\nHost: evil.example',
    'GET http://evil.example/v1/queues HTTP/1.0',
    'GET /healthz HTTP/1.0\r\nHost: a b',
  ])('%j is still refused', async (head) => {
    expect(await rawExchange(one.url(), `${head}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 4\d\d /);
  });
});

describe('case 43: ids in capital letters (RFC 9562, section 4)', () => {
  test('name the same task in paths and topics', async () => {
    const sent = await post(`${one.url()}/v1/tasks`, {
      type: 'add',
      input: { one: 1, two: 2 },
      queue: 'ids',
    });
    const id = String(sent.body['id']);
    const given = id.toUpperCase();
    expect(given).not.toBe(id);
    for (const path of ['', '/log', '/explain', '?wait=1']) {
      expect(await call(`${one.url()}/v1/tasks/${given}${path}`)).toMatchObject({ status: 200 });
    }
    const all = await openForTest(`${one.url()}/v1/events?topics=task:${given},task:${id}`);
    const single = await openForTest(`${one.url()}/v1/tasks/${given}/events`);
    expect((await single.until('snapshot'))[0]?.data['id']).toBe(id);
    const cancelled = await post(`${one.url()}/v1/tasks/${given}/cancel`, {});
    expect(cancelled).toMatchObject({ status: 200, body: { id, state: 'cancelled' } });
    expect((await all.until('state'))[0]?.data).toMatchObject({ task: id, state: 'cancelled' });
    await single.until('end');
    expect(await post(`${one.url()}/v1/tasks/${given}/retry`, {})).toMatchObject({ status: 409 });
    expect((await call(`${one.url()}/v1/tasks/${given}`, { method: 'DELETE' })).status).toBe(204);
    expect((await call(`${one.url()}/v1/tasks/${id}`)).status).toBe(404);
  });
});

describe('case 43: Accept (RFC 9110, section 12.5.1)', () => {
  const FORMATS = ['application/json', 'application/cbor'] as const;
  test.each([
    ['*/*, application/cbor;q=0.5', 'json'],
    ['application/*;q=0.9, application/cbor;q=0.1', 'json'],
    ['application/json;q=0.9, application/cbor;q=0.5, */*;q=0.1', 'json'],
    ['application/cbor, application/json;q=0.5', 'cbor'],
    ['application/cbor, */*', 'cbor'],
    ['*/*, application/cbor', 'cbor'],
    ['application/json, application/cbor', 'json'],
    ['application/cbor, application/json', 'cbor'],
    ['application/json;q=0, */*;q=0.1', 'cbor'],
    ['application/json;q=0', 'json'],
    ['application/json;q=0.001, application/*;q=1', 'cbor'],
    ['Application/CBOR', 'cbor'],
    ['application/cbor ; Q=1 , application/json ; Q=0.9', 'cbor'],
    [', ,application/cbor,,', 'cbor'],
    ['application/cbor;profile="a,b;q=0";q=0.9, application/json;q=0.8', 'cbor'],
    ['text/html, image/gif, *; q=.2, */*; q=.2', 'json'],
    ['application/cbor;q=.5, *;q=.2', 'cbor'],
    ['application/json;q=broken, application/cbor;q=0.9', 'json'],
    ['application/cbor;q=7, application/json;q=1', 'cbor'],
    ['text/*', 'json'],
    ['', 'json'],
    [',', 'json'],
  ])('%s: %s', (accept, format) => {
    expect(preferredMedia(accept, FORMATS)).toBe(`application/${format}`);
  });

  test('decides the format of answers, and of what became of a batch', async () => {
    const typeOf = async (path: string, accept: string, body?: string): Promise<string> => {
      const init = body === undefined ? {} : { method: 'POST', body };
      const headers = { accept, 'content-type': 'application/json; charset="utf-8"' };
      const response = await fetch(`${one.url()}${path}`, { ...init, headers });
      await response.arrayBuffer();
      return String(response.headers.get('content-type'));
    };
    expect(await typeOf('/healthz', 'APPLICATION/CBOR;q=0.5, */*;q=0.1')).toBe('application/cbor');
    expect(await typeOf('/healthz', '*/*, application/cbor;q=0.5')).toBe('application/json');
    expect(await typeOf('/healthz', 'application/json;q=0, */*')).toBe('application/cbor');
    const batch = '/v1/tasks/batch?partial=true';
    expect(await typeOf(batch, 'application/x-ndjson;q=0.1, application/json', '[]')).toBe(
      'application/json',
    );
    expect(await typeOf(batch, 'application/x-ndjson, application/json;q=0.1', '[]')).toBe(
      'application/x-ndjson',
    );
    expect(await typeOf(batch, 'application/x-ndjson;q=0', '[]')).toBe('application/json');
    expect(await typeOf(batch, 'Application/CBOR-Seq', '[]')).toBe('application/cbor-seq');
  });

  test('lists: quoted strings are one piece, empty elements are none', () => {
    expect(listElements('a="b,c\\",d" , ,e,')).toEqual(['a="b,c\\",d"', 'e']);
    expect(listElements(' a ; b="c;d";', ';')).toEqual(['a', 'b="c;d"']);
    expect(listElements('"never, closed')).toEqual(['"never, closed']);
    expect(listElements('"ends with \\')).toEqual(['"ends with \\']);
  });
});

describe('case 43: names that are the same in any case', () => {
  test.each<[string, Record<string, string>]>([
    ['a coding', { 'content-encoding': 'Identity' }],
    ['several codings', { 'content-encoding': ' IDENTITY ,, identity' }],
    ['no coding', { 'content-encoding': '' }],
    ['a media type', { 'content-type': 'Application/JSON; Charset="UTF-8"' }],
    ['a media type with an empty parameter', { 'content-type': 'application/json;' }],
  ])('%s', async (_, headers) => {
    const request = { method: 'POST', path: '/add', headers: { ...JSON_TYPE, ...headers }, body: TASK };
    expect(await rawRequest(one.url(), request)).toMatchObject({ status: 202 });
  });

  test.each(['gzip', 'identity, gzip', 'x-identity'])('the coding %s is still refused', async (coding) => {
    const headers = { ...JSON_TYPE, 'content-encoding': coding };
    expect((await call(`${one.url()}/add`, { method: 'POST', headers, body: TASK })).status).toBe(415);
  });
});

test('case 43: OPTIONS * asks whether the server is there (RFC 9110, section 9.3.7)', async () => {
  const answer = await rawExchange(one.url(), 'OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  expect(answer).toMatch(/^HTTP\/1\.1 204 [\s\S]*\r\nAllow: GET, HEAD, POST, PUT, DELETE\r\n/);
});

describe('case 33: Preference-Applied names what was applied (RFC 7240, section 3)', () => {
  const send = (prefer: string, queue: string): Promise<Response> =>
    fetch(`${one.url()}/v1/tasks`, {
      method: 'POST',
      headers: { ...JSON_TYPE, prefer },
      body: JSON.stringify({ type: 'add', input: { one: 1, two: 2 }, queue }),
    });

  test('a full body is not minimal', async () => {
    for (const prefer of ['return=minimal, wait=20', 'wait=20; x="y, wait=1", return="minimal"']) {
      const answer = send(prefer, 'prefer-end');
      const id = await eventually(() => one.worker().take('prefer-end'));
      await one.worker().end(id, 'succeeded', 3);
      const response = await answer;
      expect([response.status, response.headers.get('preference-applied')]).toEqual([200, 'wait=20']);
      expect(await response.json()).toMatchObject({ state: 'succeeded', result: 3 });
    }
  });

  test('a task that does not end in time is answered without a body, after the wait', async () => {
    const response = await send('return=minimal, wait=1', 'prefer-late');
    expect([response.status, await response.text()]).toEqual([202, '']);
    expect(response.headers.get('preference-applied')).toBe('wait=1, return=minimal');
  });

  test('a preference within the quoted value of another is none', async () => {
    const response = await send('x="a, return=minimal, b"', 'prefer-quoted');
    expect([response.status, response.headers.get('preference-applied')]).toEqual([202, null]);
    expect(await response.json()).toMatchObject({ state: 'ready' });
  });
});
