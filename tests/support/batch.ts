// Bodies of batches in every media type.

import { encodeCbor } from '../../src/protocol/cbor.ts';

export type Body = string | Uint8Array<ArrayBuffer>;

export const add = (one: number, more: object = {}): object => ({
  type: 'add',
  input: { one, two: 2 },
  ...more,
});
export const adds = (many: number, more: object = {}): object[] =>
  Array.from({ length: many }, (_, at) => add(at, more));

export const lines = (values: readonly unknown[]): string =>
  values.map((value) => `${JSON.stringify(value)}\n`).join('');
export const cborOf = (value: unknown): Uint8Array<ArrayBuffer> => Uint8Array.from(encodeCbor(value));
export const sequence = (values: readonly unknown[]): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(Buffer.concat(values.map(encodeCbor)));

/** How each media type writes a list of tasks. */
const WRITERS: Record<string, (values: readonly unknown[]) => Body> = {
  'application/json': JSON.stringify,
  'application/cbor': cborOf,
  'application/x-ndjson': lines,
  'application/jsonl': lines,
  'application/cbor-seq': sequence,
};
export const MEDIA = Object.keys(WRITERS);
export const written = (media: string, values: readonly unknown[]): Body => WRITERS[media]?.(values) ?? '';

export function init(media: string, body: Body, headers: Record<string, string> = {}): RequestInit {
  return { method: 'POST', headers: { 'content-type': media, ...headers }, body };
}

/** Sends a body in pieces, whose length nobody declares. */
export function inPieces(media: string, body: Body, bytes: number): RequestInit {
  const whole = Buffer.from(body);
  let at = 0;
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (at >= whole.length) controller.close();
      else controller.enqueue(Uint8Array.from(whole.subarray(at, (at += bytes))));
    },
  });
  return { method: 'POST', headers: { 'content-type': media }, body: stream, duplex: 'half' };
}
