// Reads why Redis closes connections before they have asked anything: with too many clients it says so, and closes at once.
// A client that is writing then sees a reset, and what was said is lost.

import { connect } from 'node:net';
import type { RedisAddress } from './redis-url.ts';
import { faultOfReply, UnusableRedis } from './store-error.ts';

/** A Redis that takes the connection says nothing, so this long is waited in vain. */
const LISTEN_MS = 300;
const MOST_BYTES = 1_024;

/**
 * The better error for a connection that broke before it was ready, when Redis says by itself what is wrong.
 * @param error what broke it; `undefined` = it was closed
 * @returns the same error when Redis gives no reason, or when the error says enough
 */
export async function explainBroken(
  address: RedisAddress,
  error: Error | undefined,
): Promise<Error | undefined> {
  const code = (error as { readonly code?: unknown } | undefined)?.code;
  const isBroken = error === undefined || code === 'ECONNRESET' || code === 'EPIPE';
  // Over TLS Redis closes without a word; which server of several it was is not known here.
  if (!isBroken || address.tls || address.sentinels) return error;
  const words = await listen(address);
  if (words === undefined) return error;
  return new UnusableRedis(faultOfReply(words) ?? 'unreachable', words);
}

/** The error reply that comes without a request (`-ERR …`), if one does. */
function listen({ path, host, port }: RedisAddress): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = path === undefined ? connect(port ?? 0, host) : connect(path);
    let received = '';
    const timer = setTimeout(() => socket.destroy(), LISTEN_MS);
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      received += text;
      if (received.includes('\r\n') || received.length > MOST_BYTES) socket.destroy();
    });
    socket.on('error', () => undefined); // `close` follows.
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(/^-([^\r\n]+)\r\n/.exec(received)?.[1]);
    });
  });
}
