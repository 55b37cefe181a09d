// Names and addresses that only this machine itself can reach.

import { isIPv4 } from 'node:net';

/**
 * Runs for every request, where `net.BlockList` would take some microseconds.
 * @param name `localhost` or an address, an IPv6 one with or without its brackets
 */
export function isLoopback(name: string): boolean {
  return (
    name === 'localhost' || name === '::1' || name === '[::1]' || (name.startsWith('127.') && isIPv4(name))
  );
}
