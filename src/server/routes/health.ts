// Probes. Liveness never calls Redis, whose outage must not restart the fleet. Readiness does.

import * as v from 'valibot';
import { answer } from '../answer.ts';
import { named } from '../../views/component.ts';
import type { Deps } from '../deps.ts';
import { type Route, route } from '../operation.ts';

const NO_STORE = { 'Cache-Control': 'no-store' };

const ReadinessSchema = named(
  'Readiness',
  v.object({
    status: v.picklist(['ready', 'not ready']),
    checks: v.array(
      v.object({
        name: v.string(),
        ok: v.boolean(),
        ms: v.pipe(v.number(), v.description('whole milliseconds that the check took')),
        detail: v.optional(v.string()),
      }),
    ),
  }),
);

/** Whether a server takes tasks, as callers see it. */
export type ReadinessView = v.InferOutput<typeof ReadinessSchema>;

/** `GET /healthz` and `GET /readyz`. */
export function healthRoutes({
  askReadiness,
  isStopping,
}: Pick<Deps, 'askReadiness' | 'isStopping'>): readonly Route[] {
  return [
    route(
      'GET',
      '/healthz',
      {
        id: 'getHealth',
        tag: 'service',
        summary: 'Whether the process lives',
        scope: 'public',
        answers: { 200: { description: 'It does.', schema: v.object({ status: v.literal('ok') }) } },
      },
      (c) => answer(c, 200, { status: 'ok' }, NO_STORE),
    ),
    route(
      'GET',
      '/readyz',
      {
        id: 'getReadiness',
        tag: 'service',
        summary: 'Whether requests should be sent here',
        scope: 'public',
        answers: {
          200: { description: 'They should.', schema: ReadinessSchema },
          503: {
            description:
              'Redis does not answer or cannot be used, as `detail` says, or the server is stopping.',
            content: {
              'application/json': ReadinessSchema,
              'application/cbor': ReadinessSchema,
              'application/problem+json': { $ref: '#/components/schemas/Problem' },
            },
          },
        },
      },
      async (c) => {
        const { fault, ms } = await askReadiness();
        const checks = [
          { name: 'accepting', ok: !isStopping(), ms: 0 },
          { name: 'redis', ok: fault === undefined, ms, ...(fault !== undefined && { detail: fault }) },
        ];
        const ready = checks.every(({ ok }) => ok);
        return answer(c, ready ? 200 : 503, { status: ready ? 'ready' : 'not ready', checks }, NO_STORE);
      },
    ),
  ];
}
