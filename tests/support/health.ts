// What a role says of its Redis: in its log, and to probes.

import type { RoleProcess } from './fleet.ts';
import { call } from './http.ts';

/** Why Redis was away, in the order in which the log says so. */
export function reasonsOf(role: Pick<RoleProcess, 'log'>): string[] {
  const lines = role.log().filter(({ msg }) => String(msg).startsWith('Redis is away'));
  return lines.map(({ reason }) => String(reason));
}

/** What `/readyz` answers, and what it says of Redis. */
export async function redisCheck(
  server: Pick<RoleProcess, 'url'>,
): Promise<{ status: number; detail: unknown }> {
  const { status, body } = await call(`${server.url()}/readyz`);
  const checks = body['checks'] as { name: string; detail?: string }[];
  return { status, detail: checks.find(({ name }) => name === 'redis')?.detail };
}
