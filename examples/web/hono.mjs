// A web application that answers at once, and has the work done by a task: `node hono.mjs`, while `npm start` runs.
//
//   curl -i http://127.0.0.1:8080/sums -H 'content-type: application/json' -d '{"order":"4711","one":1,"two":2}'
//   curl -i http://127.0.0.1:8080/sums/ID

import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { ApiError, Popfleet } from 'popfleet/client';

const { POPFLEET_URL = 'http://127.0.0.1:3000', POPFLEET_KEY, PORT = '8080' } = process.env;
const popfleet = new Popfleet({ url: POPFLEET_URL, key: POPFLEET_KEY });
const app = new Hono();

app.post('/sums', async (c) => {
  const { order, one, two } = await c.req.json();
  // Without an order all sums would share one key.
  if (typeof order !== 'string' || order === '') {
    return c.json({ errors: [{ pointer: '#/order', detail: 'must be a text' }] }, 422);
  }
  // With the key of the order a click that comes twice is one task.
  const { id } = await popfleet.enqueue('add', { one, two }, { key: `sum-${order}` });
  return c.json({ id }, 202, { Location: `/sums/${id}` });
});

app.get('/sums/:id', async (c) => {
  const { state, result } = await popfleet.get(c.req.param('id'));
  return c.json({ state, result });
});

app.onError((error, c) => {
  if (!(error instanceof ApiError)) throw error;
  // The visitor's fault is the visitor's to mend; all else is not about them.
  if (error.code === 'invalid-input') return c.json({ errors: error.errors }, 422);
  if (error.code === 'idempotency-key-reused') {
    return c.json({ error: 'This order was sent before, with other numbers.' }, 409);
  }
  if (error.code === 'not-found') return c.json({ error: 'There is no such sum.' }, 404);
  return c.json({ error: 'Please try again in a moment.' }, 503);
});

serve({ fetch: app.fetch, port: Number(PORT), hostname: '127.0.0.1' }, ({ port }) => {
  console.log(`http://127.0.0.1:${port}`);
});
