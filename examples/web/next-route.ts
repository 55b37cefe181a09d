// `app/api/sums/route.ts` of a Next.js application: answers at once, and has the work done by a task. `GET ?id=` has what came of it.

import { ApiError, Popfleet, WaitTimeout } from 'popfleet/client';

const popfleet = new Popfleet({
  url: process.env['POPFLEET_URL'] ?? 'http://127.0.0.1:3000',
  key: process.env['POPFLEET_KEY'],
});

export async function POST(request: Request): Promise<Response> {
  const { order, one, two } = (await request.json()) as Record<string, unknown>;
  // Without an order all sums would share one key.
  if (typeof order !== 'string' || order === '') {
    return Response.json({ errors: [{ pointer: '#/order', detail: 'must be a text' }] }, { status: 422 });
  }
  try {
    // With the key of the order a click that comes twice is one task.
    const { id } = await popfleet.enqueue('add', { one, two }, { key: `sum-${order}` });
    return Response.json({ id }, { status: 202 });
  } catch (error) {
    return refusal(error);
  }
}

export async function GET(request: Request): Promise<Response> {
  const id = new URL(request.url).searchParams.get('id') || 'none';
  try {
    // Waits a while, so that the page need not ask again and again.
    const { state, result } = await popfleet.wait(id, { timeoutMs: 10_000 }).catch((error: unknown) => {
      if (error instanceof WaitTimeout) return popfleet.get(id);
      throw error;
    });
    return Response.json({ state, result });
  } catch (error) {
    return refusal(error);
  }
}

/** The visitor's fault is the visitor's to mend; all else is not about them. */
function refusal(error: unknown): Response {
  if (!(error instanceof ApiError)) throw error;
  const { code, errors } = error;
  if (code === 'invalid-input') return Response.json({ errors }, { status: 422 });
  if (code === 'not-found') return Response.json({ error: 'There is no such sum.' }, { status: 404 });
  if (code === 'idempotency-key-reused') {
    return Response.json({ error: 'This order was sent before, with other numbers.' }, { status: 409 });
  }
  return Response.json({ error: 'Please try again in a moment.' }, { status: 503 });
}
