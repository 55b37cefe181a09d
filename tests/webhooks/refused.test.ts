// What calls may not ask for of webhooks.

import { expect, test } from 'vitest';
import { post } from '../support/http.ts';
import { withServer } from '../support/with-server.ts';

const server = withServer();
const INPUT = { one: 1, two: 2 };

test.each([
  ['a queue', { type: 'add', input: INPUT, queue: 'webhooks' }, 422, /reserved for deliveries/],
  [
    'a follower',
    { type: 'add', input: INPUT, onEnd: { type: 'add', input: INPUT, queue: 'webhooks' } },
    422,
    /reserved/,
  ],
  ['a type', { type: 'popfleet.webhook', input: {} }, 404, /is reserved for deliveries of webhooks/],
  ['no URL', { type: 'add', input: INPUT, webhook: { url: 'nowhere' } }, 422, /\/webhook\/url must be a URL/],
  ['no web', { type: 'add', input: INPUT, webhook: { url: 'ftp://x.org' } }, 422, /must begin with https/],
  [
    'a state',
    { type: 'add', input: INPUT, webhook: { url: 'https://x.org', states: ['ready'] } },
    422,
    /succeeded/,
  ],
])('%s that is not for callers is refused with a sentence', async (_, body, status, why) => {
  const answer = await post(`${server.url()}/v1/tasks`, body);
  expect(answer.status).toBe(status);
  expect(answer.body['detail']).toMatch(why);
});
