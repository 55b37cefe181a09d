// Which names and addresses only this machine itself can reach.

const BYTE = '(?:25[0-5]|2[0-4]\\d|1?\\d?\\d)';
const LOOPBACK_IPV4 = new RegExp(`^127(?:\\.${BYTE}){3}$`);

/** @param name `localhost` or an address, an IPv6 one with or without its brackets */
export function isLoopback(name: string): boolean {
  return name === 'localhost' || name === '::1' || name === '[::1]' || LOOPBACK_IPV4.test(name);
}
