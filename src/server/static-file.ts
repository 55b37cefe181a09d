// Files that never change while the server runs: read and compressed once, and not sent again to a client that has them.

import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { Context } from 'hono';
import { respond } from './answer.ts';
import type { AppEnv } from './app-env.ts';

export interface StaticFile {
  /** For `Content-Type`. */
  readonly type: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly zipped: Uint8Array<ArrayBuffer>;
  /** Of the plain bytes. */
  readonly hash: string;
}

/** Reads and compresses a file at its first request, once. */
export function staticFile(type: string, read: () => Buffer | string): () => StaticFile {
  let file: StaticFile | undefined;
  return () => {
    if (file === undefined) {
      const bytes = Uint8Array.from(Buffer.from(read()));
      const hash = createHash('sha256').update(bytes).digest('base64url').slice(0, 16);
      file = { type, bytes, hash, zipped: Uint8Array.from(gzipSync(bytes, { level: 9 })) };
    }
    return file;
  };
}

/** @param more further headers, such as the policy of a page */
export function sendFile(
  c: Context<AppEnv>,
  { type, bytes, zipped, hash }: StaticFile,
  more: Readonly<Record<string, string>> = {},
): Response {
  const isZipped = /\bgzip\b/.test(c.req.header('accept-encoding') ?? '');
  const headers: Record<string, string> = {
    'Content-Type': type,
    'Cache-Control': 'no-cache',
    Vary: 'Accept-Encoding',
    ETag: `"${hash}${isZipped ? '-gzip' : ''}"`,
    ...more,
  };
  if ((c.req.header('if-none-match') ?? '').includes(hash)) return respond(c, 304, null, headers);
  if (isZipped) headers['Content-Encoding'] = 'gzip';
  return respond(c, 200, isZipped ? zipped : bytes, headers);
}
