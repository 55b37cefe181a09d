// Probes. Liveness never asks Redis: an outage there must not restart the fleet. Readiness does.

import type { Hono } from 'hono';
import * as v from 'valibot';
import { within } from '../../lifecycle.ts';
import type { Inspector } from '../../store/inspector.ts';
import { answer } from '../answer.ts';
import type { AppEnv } from '../app-env.ts';
import { named } from '../component.ts';
import { addRoute } from '../operation.ts';

const NO_STORE = { 'Cache-Control': 'no-store' };
const PING_WITHIN_MS = 1_000;
/** Many probes at once cost one ping. */
const FRESH_MS = 500;

const ReadinessSchema = named(
  'Readiness',
  v.object({
    status: v.picklist(['ready', 'not ready']),
    checks: v.array(v.object({ name: v.string(), ok: v.boolean() })),
  }),
);

/** @param isStopping true once the server drains */
export function addHealthRoutes(app: Hono<AppEnv>, inspector: Inspector, isStopping: () => boolean): void {
  let last: { readonly at: number; readonly ok: Promise<boolean> } | undefined;

  function redisAnswers(): Promise<boolean> {
    if (!last || performance.now() - last.at > FRESH_MS) {
      const ping = inspector.ping().then(() => true);
      const ok = within(ping, PING_WITHIN_MS).then(
        (answered) => answered === true,
        () => false,
      );
      last = { at: performance.now(), ok };
    }
    return last.ok;
  }

  addRoute(
    app,
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
  );
  addRoute(
    app,
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
          description: 'Redis does not answer, or the server is stopping.',
          content: {
            'application/json': ReadinessSchema,
            'application/cbor': ReadinessSchema,
            'application/problem+json': { $ref: '#/components/schemas/Problem' },
          },
        },
      },
    },
    async (c) => {
      const checks = [
        { name: 'accepting', ok: !isStopping() },
        { name: 'redis', ok: await redisAnswers() },
      ];
      const ready = checks.every(({ ok }) => ok);
      return answer(c, ready ? 200 : 503, { status: ready ? 'ready' : 'not ready', checks }, NO_STORE);
    },
  );
}
