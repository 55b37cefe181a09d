// Checks the Host header. A page of another site can make its own name point at this machine (DNS rebinding); the browser
// then takes this server for a part of that site, but still sends that name.

import type { Context } from 'hono';
import { PopfleetError } from '../../protocol/errors.ts';
import type { AppEnv } from '../app-env.ts';
import { isLoopback } from './loopback.ts';

export interface HostRules {
  /** Whether callers need a key. */
  readonly hasKeys: boolean;
  readonly allowAnonymous: boolean;
  /** URL under which browsers reach the server. */
  readonly publicUrl: string | undefined;
}

const HOST = /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(?::\d{1,5})?$/i;
/** Probes, which load balancers and orchestrators send to an address instead of a name. */
const PROBES: ReadonlySet<string> = new Set(['/healthz', '/readyz']);

/** @returns a check that throws PopfleetError `bad-host` */
export function createHostCheck(rules: HostRules): (c: Context<AppEnv>) => void {
  const publicName = rules.publicUrl === undefined ? undefined : new URL(rules.publicUrl).hostname;
  const loopbackOnly = !rules.hasKeys && !rules.allowAnonymous;

  return (c) => {
    // HTTP/1.0 does not require the header (RFC 9112, section 3.2, requires it in HTTP/1.1, and Node refuses such a request
    // without it). Browsers always send it, so this check needs no rule for its absence. The target may name a host.
    const host = c.req.header('host') ?? new URL(c.req.url).host;
    const name = HOST.exec(host)?.[1]?.toLowerCase();
    if (name === undefined || !isTargetOf(host, c.req.url)) throw badHost('is not valid');
    if (isLoopback(name)) return;
    if (loopbackOnly) {
      throw badHost('must be localhost as long as there are no API keys (or set ALLOW_ANONYMOUS=1)');
    }
    if (publicName === undefined || name === publicName || PROBES.has(c.req.path)) return;
    throw badHost('must be the one in PUBLIC_URL');
  };
}

/** A host in the first line of a request overrides the header (RFC 9112, section 3.2.2). */
function isTargetOf(host: string, url: string): boolean {
  const start = 'http://'.length;
  if (url.startsWith(host, start) && url[start + host.length] === '/') return true;
  return URL.canParse(`http://${host}`) && new URL(url).host === new URL(`http://${host}`).host;
}

function badHost(fault: string): PopfleetError {
  return new PopfleetError('bad-host', `The Host header ${fault}.`);
}
