// Hosts and networks to which webhooks go although they are inside: `WEBHOOK_ALLOW`.

import { BlockList, isIP } from 'node:net';

export interface Allowed {
  /** By its name, as a URL has it: in lower case, IPv6 without brackets. */
  hasHost(host: string): boolean;
  hasAddress(address: string): boolean;
}

const HOST = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/;

/**
 * @param entries names of hosts, addresses, and networks such as `10.0.0.0/8` or `fd00::/8`
 * @returns a text that says which entry is none
 */
export function readAllowed(entries: readonly string[]): Allowed | string {
  const hosts = new Set<string>();
  const networks = new BlockList();
  for (const entry of entries) {
    const host = entry.toLowerCase();
    const [address = '', bits, more] = host.split('/');
    const family = isIP(address);
    const most = family === 6 ? 128 : 32;
    const isNetwork =
      family > 0 &&
      more === undefined &&
      (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most));
    if (isNetwork) networks.addSubnet(address, Number(bits ?? most), family === 6 ? 'ipv6' : 'ipv4');
    // A name of digits and dots alone is no name: `127.1` means an address.
    else if (bits === undefined && HOST.test(host) && !/^[\d.]+$/.test(host)) hosts.add(host);
    else return `"${entry.slice(0, 64)}" is neither a host nor a network such as 10.0.0.0/8`;
  }
  return {
    hasHost: (host) => hosts.has(host),
    hasAddress(address) {
      const family = isIP(address);
      // An address with a zone belongs to one link: no network has it.
      return family > 0 && !address.includes('%') && networks.check(address, family === 6 ? 'ipv6' : 'ipv4');
    },
  };
}
