// Calls `/v1`. What goes wrong is a Problem, whether the server says so or cannot be reached.

import { ApiError, type Problem } from './problem.ts';
import { share } from './shared.ts';

/** Relative to this file, so that it works under any path that a proxy adds. */
const BASE = new URL('../v1/', import.meta.url);
const TIMEOUT_MS = 15_000;
/** `Date` of an answer has whole seconds: a smaller difference says nothing. */
const CLOCK_TOLERANCE_MS = 1_500;

let clockOffsetMs = 0;

/** Milliseconds since 1970 by the clock of the server, whatever the clock of this machine shows. */
export function serverNow(): number {
  return Date.now() + clockOffsetMs;
}

/** Full URL of a path under `/v1/`. */
export function apiUrl(path: string): string {
  return new URL(path, BASE).href;
}

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/**
 * An answer that asks for a key brings the sign-in, whatever was called.
 * @param path under `/v1/`
 * @returns the body; `undefined` when there is none
 * @throws ApiError
 */
export async function callApi<T>(method: Method, path: string, body?: unknown): Promise<T> {
  const { response, text } = await ask(method, path, body);
  if (response.ok) return (text === '' ? undefined : JSON.parse(text)) as T;
  if (response.status === 401) share({ isSignedOut: true, outage: undefined });
  throw new ApiError(readProblem(response.status, text));
}

/** An answer that breaks off is none. */
async function ask(
  method: Method,
  path: string,
  body: unknown,
): Promise<{ readonly response: Response; readonly text: string }> {
  try {
    const response = await fetch(apiUrl(path), {
      method,
      cache: 'no-store',
      signal: AbortSignal.timeout(TIMEOUT_MS),
      headers: {
        accept: 'application/json',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    noteClock(response.headers.get('date'));
    return { response, text: await response.text() };
  } catch {
    throw new ApiError({
      status: 0,
      code: 'unreachable',
      title: 'The server does not answer',
      detail: 'It is down, or the network between is.',
    });
  }
}

/** A proxy in between may answer something else than a problem document. */
function readProblem(status: number, text: string): Problem {
  const unknown = { status, code: 'unknown', title: `The answer was ${status}`, detail: text.slice(0, 200) };
  try {
    const given = JSON.parse(text) as Partial<Problem>;
    return { ...unknown, detail: '', ...given };
  } catch {
    return unknown;
  }
}

function noteClock(date: string | null): void {
  const offset = date === null ? Number.NaN : Date.parse(date) - Date.now();
  if (Number.isFinite(offset)) clockOffsetMs = Math.abs(offset) < CLOCK_TOLERANCE_MS ? 0 : offset;
}
