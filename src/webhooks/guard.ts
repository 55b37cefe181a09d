// Where webhooks may go. A receiver's address comes from whoever sends tasks, and the server may reach what that sender must not:
// other services of its network, the metadata of its cloud, itself. So only addresses of the public internet are connected to, and
// whoever runs the server names exceptions. The address that was checked is the one that is connected to (post.ts).

import { lookup } from 'node:dns/promises';
import { createRequire } from 'node:module';
import { isIP } from 'node:net';
import type ipaddrModule from 'ipaddr.js';
import { faultOfWebhookUrl } from '../protocol/webhook.ts';
import { type Allowed, readAllowed } from './allow.ts';

/** Required for the reason that store/ioredis.ts tells. */
const ipaddr = createRequire(import.meta.url)('ipaddr.js') as typeof ipaddrModule;

/** An address that was checked. */
export interface Checked {
  readonly address: string;
  readonly family: 4 | 6;
}

/** It is not connected to: `isForGood` when it never will be, as long as the setting and the names stay as they are. */
export class RefusedReceiver extends Error {
  readonly isForGood: boolean;

  constructor(message: string, isForGood: boolean, cause?: unknown) {
    super(message, { cause });
    this.name = 'RefusedReceiver';
    this.isForGood = isForGood;
  }
}

export interface Guard {
  /** What is wrong with an address as it is written, as a sentence; its name is not resolved. */
  faultOf(url: string): string | undefined;
  /** Resolves the name of a receiver, once. @throws RefusedReceiver */
  check(url: URL): Promise<Checked>;
}

export type Resolve = (
  host: string,
) => Promise<readonly { readonly address: string; readonly family: number }[]>;

/** Others could be used to look for what listens in other people's networks. */
const PORTS = new Set(['', '80', '443', '8443']);
/** All that is given out of IPv6. */
const GLOBAL_IPV6 = ipaddr.IPv6.parseCIDR('2000::/3');
/**
 * Public by their number, and inside all the same: the host of a virtual machine in Azure
 * (https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16).
 */
const HOSTS_OF_CLOUDS = new Set(['168.63.129.16']);

const resolveAll: Resolve = (host) => lookup(host, { all: true, verbatim: true });

/**
 * @param allow hosts and networks that are allowed although they are inside, on any port: entries that `readAllowed` takes
 * @throws TypeError when it does not take them
 */
export function createGuard(allow: readonly string[], resolve: Resolve = resolveAll): Guard {
  const allowed = allowedOf(allow);
  const mayReach = (host: string, address: string): boolean =>
    allowed.hasHost(host) || allowed.hasAddress(address) || isPublic(address);

  function faultOfPort(url: URL, host: string, addresses: readonly string[]): string | undefined {
    if (PORTS.has(url.port) || allowed.hasHost(host) || addresses.every(allowed.hasAddress)) return undefined;
    return `webhooks go to the ports 80, 443 and 8443, and to any port of what WEBHOOK_ALLOW names; not to port ${url.port}`;
  }

  return {
    faultOf(text) {
      const fault = faultOfWebhookUrl(text);
      if (fault !== undefined) return `url ${fault}`;
      const url = new URL(text);
      const host = hostOf(url);
      if (isIP(host) === 0) return undefined;
      return mayReach(host, host) ? faultOfPort(url, host, [host]) : insideFault(host, host);
    },

    async check(url) {
      const fault = faultOfWebhookUrl(url.href);
      if (fault !== undefined) throw new RefusedReceiver(`url ${fault}`, true);
      const host = hostOf(url);
      const addresses = isIP(host) > 0 ? [host] : await addressesOf(host, resolve);
      const [first] = addresses;
      if (first === undefined) throw new RefusedReceiver(`no address is known for ${host}`, false);
      // Of several addresses none may be inside: it is not known beforehand which of them answers.
      const inside = addresses.find((address) => !mayReach(host, address));
      if (inside !== undefined) throw new RefusedReceiver(insideFault(host, inside), true);
      const portFault = faultOfPort(url, host, addresses);
      if (portFault !== undefined) throw new RefusedReceiver(portFault, true);
      return { address: first, family: isIP(first) === 6 ? 6 : 4 };
    },
  };
}

function allowedOf(allow: readonly string[]): Allowed {
  const allowed = readAllowed(allow);
  if (typeof allowed === 'string') throw new TypeError(allowed);
  return allowed;
}

/** A resolver that fails is a reason not to connect, not one to skip the check. */
async function addressesOf(host: string, resolve: Resolve): Promise<readonly string[]> {
  try {
    return (await resolve(host)).map(({ address }) => address);
  } catch (error) {
    const { code = 'unknown fault' } = error as NodeJS.ErrnoException;
    throw new RefusedReceiver(`no address can be found for ${host} (${code})`, false, error);
  }
}

function insideFault(host: string, address: string): string {
  const which = host === address ? address : `${host} has the address ${address}, which`;
  return `${which} is not on the public internet: webhooks go there only when WEBHOOK_ALLOW names it`;
}

/** As `URL` has written it: numbers are addresses by then, whatever form they came in. */
function hostOf({ hostname }: URL): string {
  // A name with a dot at its end is the same name.
  return hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
}

/** Whether anybody on the internet could reach it: everything else is refused, also what is not known. */
export function isPublic(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.parse(address);
  if (parsed instanceof ipaddr.IPv4) return isPublicIPv4(parsed);
  if (parsed.isIPv4MappedAddress()) return isPublicIPv4(parsed.toIPv4Address());
  return parsed.match(GLOBAL_IPV6) && parsed.range() === 'unicast';
}

function isPublicIPv4(address: ipaddrModule.IPv4): boolean {
  return address.range() === 'unicast' && !HOSTS_OF_CLOUDS.has(address.toString());
}
