// Reads request bodies that anyone may send: bounded, JSON or CBOR, plain values only.

import type { Context } from 'hono';
import * as v from 'valibot';
import { decodeCbor } from '../protocol/cbor.ts';
import { CborFault } from '../protocol/cbor-scan.ts';
import { type FieldFault, PopfleetError } from '../protocol/errors.ts';
import { faultOfPlainValue } from '../protocol/plain-value.ts';
import type { AppEnv } from './app-env.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Reads and parses the body.
 * @throws PopfleetError `unsupported-media-type`, `too-large` or `malformed-body`
 */
export async function readBody(c: Context<AppEnv>, limitBytes: number): Promise<unknown> {
  const parse = parserOf(c);
  return parse(await readBytes(c, limitBytes));
}

function parserOf(c: Context<AppEnv>): (bytes: Uint8Array) => unknown {
  const encoding = c.req.header('content-encoding');
  if (encoding !== undefined && encoding !== 'identity') {
    throw new PopfleetError('unsupported-media-type', 'Send the body without Content-Encoding.');
  }
  const type = (c.req.header('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase();
  if (type === 'application/json') return parseJson;
  if (type === 'application/cbor') return parseCbor;
  throw new PopfleetError(
    'unsupported-media-type',
    `Send Content-Type: application/json or application/cbor${type ? `, not ${type}` : ''}.`,
  );
}

/** Counts what really arrives: a declared length may be missing (chunked) or wrong. */
async function readBytes(c: Context<AppEnv>, limitBytes: number): Promise<Uint8Array> {
  const declared = c.req.header('content-length');
  if (declared !== undefined) {
    if (Number(declared) > limitBytes) throw tooLarge(limitBytes);
    // The HTTP parser passes on exactly the declared number of bytes, so the fast path is safe.
    return new Uint8Array(await c.req.arrayBuffer());
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of c.req.raw.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > limitBytes) throw tooLarge(limitBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function tooLarge(limitBytes: number): PopfleetError {
  return new PopfleetError('too-large', `The body may have at most ${limitBytes} bytes.`);
}

function parseJson(bytes: Uint8Array): unknown {
  let value: unknown;
  try {
    value = JSON.parse(utf8.decode(bytes));
  } catch (error) {
    const reason = error instanceof SyntaxError ? syntaxFault(error) : 'it is not UTF-8';
    throw new PopfleetError('malformed-body', `The body is no JSON: ${reason}.`);
  }
  const fault = faultOfPlainValue(value);
  if (fault !== undefined)
    throw new PopfleetError('malformed-body', `The body cannot be accepted: ${fault}.`);
  return value;
}

/** The parser's own words may quote the body, an answer never does: the place has to do. */
function syntaxFault({ message }: SyntaxError): string {
  if (message.includes('end of JSON')) return 'it ends too early';
  const place = /at position \d+/.exec(message)?.[0];
  return place ? `it cannot be read ${place}` : 'it has a character that does not belong there';
}

function parseCbor(bytes: Uint8Array): unknown {
  try {
    return decodeCbor(bytes);
  } catch (error) {
    if (!(error instanceof CborFault)) throw error;
    throw new PopfleetError('malformed-body', `The body is no plain CBOR: ${error.message}.`);
  }
}

/**
 * Validates a value.
 * @param at JSON Pointer of the value within the body, without `#`
 * @throws PopfleetError `invalid-input` that names every field
 */
export function validate<Output>(schema: v.GenericSchema<unknown, Output>, value: unknown, at = ''): Output {
  const parsed = v.safeParse(schema, value);
  if (parsed.success) return parsed.output;
  const faults = parsed.issues.map((issue) => toFault(issue, at));
  const fields = faults.map(({ pointer, detail }) => `${pointer} ${detail}`).join('; ');
  throw new PopfleetError('invalid-input', `Correct these fields: ${fields}`, { faults });
}

function toFault(issue: v.BaseIssue<unknown>, at: string): FieldFault {
  const path = (issue.path ?? []).map(({ key }) => String(key).replaceAll('~', '~0').replaceAll('/', '~1'));
  const pointer = `#${at}${path.map((key) => `/${encodeURIComponent(key)}`).join('')}`;
  // The library's own words for an unknown and for a missing key tell a caller nothing.
  if (issue.type === 'strict_object' && issue.expected === 'never')
    return { pointer, detail: 'is an unknown field' };
  if (issue.received === 'undefined') return { pointer, detail: 'is missing' };
  // The library quotes the refused value; an answer never does.
  return { pointer, detail: issue.message.replace(/(?: but received|: Received) .*$/s, '') };
}
