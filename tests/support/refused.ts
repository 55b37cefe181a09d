// What every refusal of the server has in common.

import type { Redis } from 'ioredis';
import { expect } from 'vitest';

/** Stands in every refused value: no answer may repeat it. */
export const SECRET = 'hunter2-c0ffee';

export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly text: string;
  readonly headers: Headers;
  readonly detail: string;
  readonly pointers: readonly string[];
}

/** Sends a request, checks that its answer is a proper problem document (RFC 9457) and that Redis is still empty. */
export async function refused(redis: Redis, url: string, init: RequestInit): Promise<Refusal> {
  const response = await fetch(url, init);
  const text = await response.text();
  const body = JSON.parse(text) as Record<string, unknown>;
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  expect(body).toMatchObject({
    type: `/problems/${String(body['code'])}`,
    title: expect.stringMatching(/\w/),
    status: response.status,
    detail: expect.stringMatching(/\w/),
    requestId: response.headers.get('x-request-id'),
  });
  expect(text).not.toContain(SECRET.slice(0, 7)); // nor a part of it
  expect(text).not.toMatch(/\bat .*\.[jt]s:\d+/); // no stack
  expect(await redis.dbsize()).toBe(0);
  const errors = (body['errors'] ?? []) as readonly { pointer: string; detail: string }[];
  for (const { detail } of errors) expect(detail).toMatch(/\w/);
  return {
    status: response.status,
    code: String(body['code']),
    text,
    headers: response.headers,
    detail: String(body['detail']),
    pointers: errors.map(({ pointer }) => pointer),
  };
}
