// `app/api/sums/route.ts` of a Next.js application: answers at once, and has the work done by a task. `GET ?id=` has what came of it.

import { ApiError, Popfleet } from 'popfleet/client';

const popfleet = new Popfleet({
  url: process.env['POPFLEET_URL'] ?? 'http://127.0.0.1:3000',
  key: process.env['POPFLEET_KEY'],
});

export async function POST(request: Request): Promise<Response> {
  const { order, one, two } = (await request.json()) as Record<string, unknown>;
  try {
    // With the key of the order a click that comes twice is one task.
    const { id } = await popfleet.enqueue('add', { one, two }, { key: `sum-${String(order)}` });
    return Response.json({ id }, { status: 202 });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.code === 'invalid-input') return Response.json({ errors: error.errors }, { status: 422 });
    return Response.json({ error: 'Please try again in a moment.' }, { status: 503 });
  }
}

export async function GET(request: Request): Promise<Response> {
  const id = new URL(request.url).searchParams.get('id') ?? '';
  // Waits a while, so that the page need not ask again and again.
  const { state, result } = await popfleet.wait(id, { timeoutMs: 10_000 }).catch(() => popfleet.get(id));
  return Response.json({ state, result });
}
