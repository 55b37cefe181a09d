// Requests of the client: one way to send them, with a time limit and with repeats, and to read what comes back.

import { ApiError, type Fault, isPassing } from './api-error.ts';
import { pause } from './pause.ts';
import { startTimer } from './timer.ts';
import { toJson } from './to-json.ts';

export interface TransportSettings {
  /** Root of the HTTP API, such as `https://tasks.example.org`; a path is kept. */
  readonly url: string | URL;
  /** API key, sent as bearer token; none where the server asks for none. */
  readonly key?: string | undefined;
  readonly fetch?: typeof fetch;
  /** How often a request is sent again after the first try; 3 unless given. */
  readonly retries?: number;
  /** How long one try may take, in milliseconds; 30,000 unless given. */
  readonly timeoutMs?: number;
}

/** What every call takes. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface ApiRequest extends CallOptions {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Begins with a slash. */
  readonly path: string;
  /** Those that are `undefined` are left out. */
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as it is, instead of `body`. */
  readonly raw?: { readonly type: string; readonly body: Blob };
  /** Further statuses whose answer is no error. */
  readonly accepts?: readonly number[];
  /** A second one could mean something else: it is sent again only when the first was certainly refused. */
  readonly once?: boolean;
  /** It is gone then: a repeat that finds nothing shows that an earlier try, whose answer got lost, had worked. */
  readonly removes?: boolean;
  /** Instead of that of the settings, in milliseconds. */
  readonly timeoutMs?: number;
  /** Called with each try that fails, whether it is repeated or not. @param openMs how long it had lasted */
  readonly onFailure?: (error: unknown, openMs: number) => void;
}

/** What is sent; no try of it differs from another. */
interface Payload {
  readonly type: string;
  readonly body: string | Blob;
}

type Ready = ApiRequest & { readonly payload: Payload | undefined };

/** @throws ApiError from each method; what the signal was aborted with, once it is */
export interface Transport {
  /** Resolves with the body of the answer, read as JSON; `undefined` when it has none. */
  json<Body>(request: ApiRequest): Promise<Body>;
  /** Opens a stream of events. The time limit ends with the head of the answer. `undefined` when nothing will come any more. */
  stream(
    request: ApiRequest,
    headers: Readonly<Record<string, string>>,
  ): Promise<ReadableStream<Uint8Array> | undefined>;
  /** When the server has answered a request last, by `performance.now()`: one that is there may be away for a while. `-Infinity`: never. */
  answeredAt(): number;
}

const RETRIES = 3;
const TIMEOUT_MS = 30_000;
const BACKOFF_MS = 250;
const LONGEST_BACKOFF_MS = 10_000;
/** A server that wants to be left alone for longer than this is reported instead. */
const LONGEST_RETRY_AFTER_MS = 60_000;

/** @throws TypeError when the address is no http or https address */
export function createTransport(settings: TransportSettings): Transport {
  const { key, retries = RETRIES, timeoutMs = TIMEOUT_MS } = settings;
  // Called as a function of its own: browsers refuse it as a method of another object.
  const send = settings.fetch ?? ((input: string, init: RequestInit) => globalThis.fetch(input, init));
  const root = rootOf(settings.url);
  let answeredAt = Number.NEGATIVE_INFINITY;

  function open(request: Ready, headers: Record<string, string>, signal: AbortSignal): Promise<Response> {
    const all: Record<string, string> = { accept: 'application/json', ...headers };
    if (key !== undefined) all['authorization'] = `Bearer ${key}`;
    const { type, body } = request.payload ?? {};
    if (type !== undefined) all['content-type'] = type;
    return send(`${root}${request.path}${queryOf(request.query)}`, {
      method: request.method ?? 'GET',
      headers: all,
      signal,
      // `fetch` would make a GET of a POST: the list behind the same path would stand for what was to be sent.
      redirect: 'manual',
      ...(body === undefined ? {} : { body }),
    });
  }

  /** One try. @param read what is needed of the answer before the time is over */
  async function attempt<Read>(
    request: Ready,
    headers: Record<string, string>,
    read: Reader<Read>,
  ): Promise<Read> {
    const limit = createLimit(request.timeoutMs ?? timeoutMs, request.signal);
    try {
      const response = await open(request, headers, limit.signal);
      if (response.type === 'opaqueredirect' || (response.status >= 300 && response.status < 400))
        throw redirected(response, root);
      if (response.ok || request.accepts?.includes(response.status)) {
        const body = await read(response, limit);
        answeredAt = performance.now();
        return body;
      }
      throw problemOf(response, await response.text());
    } catch (error) {
      request.signal?.throwIfAborted();
      if (error instanceof ApiError) throw error;
      throw limit.isOver() ? noAnswer(root, request.timeoutMs ?? timeoutMs) : unreachable(root, error);
    } finally {
      limit.end();
    }
  }

  async function exchange<Read>(
    request: ApiRequest,
    headers: Record<string, string>,
    read: Reader<Read>,
  ): Promise<Read> {
    const ready = { ...request, payload: payloadOf(request) };
    let mayBeGone = false;
    for (let tries = 0; ; tries += 1) {
      const triedAt = performance.now();
      try {
        return await attempt(ready, headers, read);
      } catch (error) {
        request.onFailure?.(error, performance.now() - triedAt);
        if (mayBeGone && error instanceof ApiError && error.code === 'not-found') return undefined as Read;
        const mayRepeat = isPassing(error) && (request.once !== true || error.status === 429);
        if (!mayRepeat || tries >= retries || (error.retryAfterMs ?? 0) > LONGEST_RETRY_AFTER_MS) throw error;
        mayBeGone ||= request.removes === true && error.status !== 429;
        await pause(repeatAfterMs(error.retryAfterMs, tries), request.signal);
      }
    }
  }

  return {
    json: <Body>(request: ApiRequest) => exchange(request, {}, (response) => readJson<Body>(response, root)),
    stream: (request, headers) =>
      exchange(request, { ...headers, accept: 'text/event-stream' }, (response, limit) => {
        const stream = response.status === 204 ? null : response.body;
        if (stream && !response.headers.get('content-type')?.startsWith('text/event-stream'))
          throw notPopfleet(response.status, root);
        if (stream) limit.leaveToCaller();
        return Promise.resolve(stream ?? undefined);
      }),
    answeredAt: () => answeredAt,
  };
}

function rootOf(url: string | URL): string {
  const root = URL.canParse(String(url)) ? new URL(url) : undefined;
  if (!root || !/^https?:$/.test(root.protocol) || root.search !== '' || root.hash !== '') {
    throw new TypeError('url must be an http or https address, such as http://127.0.0.1:3000');
  }
  return root.href.replace(/\/+$/, '');
}

/** @throws ApiError `invalid-input`: it is a fault of the caller, which no repeat mends */
function payloadOf({ raw, body }: ApiRequest): Payload | undefined {
  if (raw !== undefined || body === undefined) return raw;
  return { type: 'application/json', body: toJson(body) };
}

function queryOf(query: ApiRequest['query'] = {}): string {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) given.set(name, String(value));
  const text = given.toString();
  return text === '' ? '' : `?${text}`;
}

/** Full jitter, so that callers that were refused together do not come back together; never before the server wants it. */
function repeatAfterMs(retryAfterMs: number | undefined, tries: number): number {
  const jitter = Math.random() * Math.min(LONGEST_BACKOFF_MS, BACKOFF_MS * 2 ** tries);
  return (retryAfterMs ?? 0) + jitter;
}

/** What ends a try: its time, or the caller's signal. */
interface Limit {
  readonly signal: AbortSignal;
  isOver(): boolean;
  /** The time is no matter any more, and the caller's signal ends what is still read. */
  leaveToCaller(): void;
  end(): void;
}

type Reader<Read> = (response: Response, limit: Limit) => Promise<Read>;

function createLimit(ms: number, caller: AbortSignal | undefined): Limit {
  const controller = new AbortController();
  let over = false;
  const onAbort = (): void => controller.abort(caller?.reason);
  const clear = startTimer(() => {
    over = true;
    controller.abort();
  }, ms);
  let isLeft = false;
  if (caller?.aborted) onAbort();
  caller?.addEventListener('abort', onAbort);
  return {
    signal: controller.signal,
    isOver: () => over,
    leaveToCaller() {
      isLeft = true;
    },
    end() {
      clear();
      if (!isLeft) caller?.removeEventListener('abort', onAbort);
    },
  };
}

async function readJson<Body>(response: Response, root: string): Promise<Body> {
  const text = await response.text();
  if (text === '') return undefined as Body;
  try {
    return JSON.parse(text) as Body;
  } catch (cause) {
    throw notPopfleet(response.status, root, cause);
  }
}

function problemOf(response: Response, text: string): ApiError {
  const problem = membersOf(text);
  const { code, title, detail, errors, requestId } = problem;
  const seconds = response.headers.get('retry-after') ?? '';
  const retryAfterMs = /^\d{1,6}$/.test(seconds) ? Number(seconds) * 1_000 : undefined;
  const { status } = response;
  if (typeof code !== 'string') {
    // A proxy answers in its own words; its 502 may pass like one of popfleet.
    return new ApiError(`The answer was HTTP ${status}, without the form of popfleet.`, {
      status,
      code: `http-${status}`,
      retryAfterMs,
    });
  }
  return new ApiError(textOf(detail) ?? textOf(title) ?? `HTTP ${status}`, {
    status,
    code,
    title: textOf(title) ?? '',
    errors: Array.isArray(errors) ? (errors as Fault[]) : [],
    requestId: textOf(requestId),
    retryAfterMs,
  });
}

function membersOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** A browser does not say where to. */
function redirected({ status, headers }: Response, root: string): ApiError {
  const location = headers.get('location');
  const where = location === null ? 'another address' : location;
  return new ApiError(
    `${root} redirects to ${where}: give the client the address of the API itself as url.`,
    {
      status,
      code: 'not-popfleet',
    },
  );
}

function notPopfleet(status: number, root: string, cause?: unknown): ApiError {
  return new ApiError(`${root} answers, but not as popfleet does (HTTP ${status}).`, {
    status,
    code: 'not-popfleet',
    cause,
  });
}

function noAnswer(root: string, ms: number): ApiError {
  return new ApiError(`${root} did not answer within ${ms / 1_000} s.`, { status: 0, code: 'no-answer' });
}

function unreachable(root: string, cause: unknown): ApiError {
  return new ApiError(`${root} cannot be reached: ${reasonOf(cause)}.`, {
    status: 0,
    code: 'unreachable',
    cause,
  });
}

/** `fetch` says why in the cause of its error, which may be one for each address that was tried. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(cause instanceof Error)) return String(cause);
  const { code } = cause as { readonly code?: unknown };
  return cause.message || (typeof code === 'string' ? code : cause.name);
}
