// Probes. Liveness never asks Redis: an outage there must not restart the fleet. Readiness does.

import { Hono } from 'hono';
import { within } from '../../lifecycle.ts';
import type { Inspector } from '../../store/inspector.ts';
import { answer } from '../answer.ts';
import type { AppEnv } from '../app-env.ts';

const NO_STORE = { 'Cache-Control': 'no-store' };
const PING_WITHIN_MS = 1_000;
/** Many probes at once cost one ping. */
const FRESH_MS = 500;

/** @param isStopping true once the server drains */
export function healthRoute(inspector: Inspector, isStopping: () => boolean): Hono<AppEnv> {
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

  return new Hono<AppEnv>()
    .get('/healthz', (c) => answer(c, 200, { status: 'ok' }, NO_STORE))
    .get('/readyz', async (c) => {
      const checks = [
        { name: 'accepting', ok: !isStopping() },
        { name: 'redis', ok: await redisAnswers() },
      ];
      const ready = checks.every(({ ok }) => ok);
      return answer(c, ready ? 200 : 503, { status: ready ? 'ready' : 'not ready', checks }, NO_STORE);
    });
}
