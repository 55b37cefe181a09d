// One call of a tool: a request to the server, and its answer as text that a model can hold.

import { ApiError } from '../client/api-error.ts';
import type { ApiRequest, Transport } from '../client/transport.ts';
import type { ApiTool } from './tools.ts';

/** What a tool says, in the form of `tools/call`. */
export interface ToolResult {
  readonly content: [{ readonly type: 'text'; readonly text: string }];
  readonly isError?: true;
}

/** A model reads about four characters a token, and forgets what it was asked when an answer is too long. */
export const RESULT_CHARS = 30_000;
/** What the server needs beyond the time that a call wants to wait. */
const WAIT_MARGIN_MS = 10_000;

type Arguments = Readonly<Record<string, unknown>>;

interface CallDeps {
  readonly transport: Transport;
  /** What to do about an error, for a person; `undefined` when its message says that. */
  readonly hintFor: (error: ApiError) => string | undefined;
}

/** @throws what the signal was aborted with, once it is */
export async function callTool(
  { transport, hintFor }: CallDeps,
  tool: ApiTool,
  args: Arguments,
  signal: AbortSignal,
): Promise<ToolResult> {
  const fault = faultOf(tool, args);
  if (fault !== undefined) return toolError(fault);
  try {
    const answer = await transport.json(requestOf(tool, args, signal));
    return { content: [{ type: 'text', text: boundedText(answer, tool, Number(args['skip'] ?? 0)) }] };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return toolError(wordsFor(error, hintFor));
  }
}

/** What happened, each fault with its place in the arguments, and what to do. */
export function wordsFor(error: ApiError, hintFor: CallDeps['hintFor']): string {
  const faults = error.errors.map(({ pointer, detail }) => `${pointer.replace(/^#/, '#/body')} ${detail}`);
  const lines = [`${error.message} (${error.code})`, ...faults, hintFor(error)];
  return lines.filter((line) => line !== undefined).join('\n');
}

export function toolError(text: string): ToolResult {
  return { content: [{ type: 'text', text: text.slice(0, RESULT_CHARS) }], isError: true };
}

/** What the server could not say of itself, because it would never see it. */
function faultOf({ listed: { name, inputSchema } }: ApiTool, args: Arguments): string | undefined {
  const { properties, required } = inputSchema as unknown as {
    properties: object;
    required: readonly string[];
  };
  const known = Object.keys(properties);
  const unknown = Object.keys(args).filter((one) => !known.includes(one));
  const missing = required.filter((one) => args[one] === undefined || args[one] === '');
  const odd = known.filter(
    (one) => one !== 'body' && !['string', 'number', 'boolean', 'undefined'].includes(typeof args[one]),
  );
  const { skip = 0 } = args;
  const isSkip = Number.isInteger(Number(skip)) && Number(skip) >= 0;
  if (unknown.length + missing.length + odd.length === 0 && isSkip) return undefined;
  return [
    ...unknown.map((one) => `${name} knows no argument "${one.slice(0, 64)}".`),
    ...missing.map((one) => `${name} needs the argument "${one}".`),
    ...odd.map((one) => `The argument "${one}" must be a text, a number, or true or false.`),
    ...(isSkip ? [] : ['The argument "skip" must be a whole number.']),
    `It takes ${known.length === 0 ? 'none' : known.join(', ')}.`,
  ].join('\n');
}

function requestOf({ operation }: ApiTool, args: Arguments, signal: AbortSignal): ApiRequest {
  const { method, path, parameters } = operation;
  const query = parameters.filter((one) => one.in === 'query').map(({ name }) => [name, args[name]]);
  const { wait } = args;
  const waitMs = Number(wait) * 1_000 || 0;
  return {
    method,
    path: path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(args[name]))),
    query: Object.fromEntries(query) as NonNullable<ApiRequest['query']>,
    ...(args['body'] === undefined ? {} : { body: args['body'] }),
    // A second task, or a second retry, would be another one.
    once: method === 'POST',
    ...(waitMs > 0 ? { timeoutMs: waitMs + WAIT_MARGIN_MS } : {}),
    signal,
  };
}

/** JSON; of a list that is too long the first items behind those to skip, of anything else its beginning, and how to get the rest. */
function boundedText(answer: unknown, { listed }: ApiTool, skip: number): string {
  if (answer === undefined) return 'Done.';
  const { items } = (answer ?? {}) as { readonly items?: unknown };
  if (!Array.isArray(items)) return cut(JSON.stringify(answer));
  const wanted = items.slice(skip) as readonly unknown[];
  const text = JSON.stringify({ ...answer, items: wanted });
  if (text.length <= RESULT_CHARS) return text;
  // Where the next page begins is left out: it would pass over those that are left off here.
  const { next: _, ...rest } = answer as { readonly next?: unknown };
  const kept: unknown[] = [];
  let chars = JSON.stringify({ ...rest, items: [] }).length;
  for (const item of wanted) {
    chars += JSON.stringify(item).length + 1;
    if (chars > RESULT_CHARS) break;
    kept.push(item);
  }
  const end = skip + kept.length;
  const leftOff = `The answer was too long, so ${items.length - end} of ${items.length} items are left off`;
  const shown = JSON.stringify({ ...rest, items: kept });
  const { properties } = listed.inputSchema as unknown as { readonly properties: object };
  // An item that is too long by itself is cut: behind it the next one begins.
  if ('skip' in properties) {
    const goOn = `${leftOff}: call it again with skip ${Math.max(end, skip + 1)}.`;
    return `${kept.length === 0 ? cut(text) : shown}\n${goOn}`;
  }
  const advice = 'limit' in properties ? ': ask for fewer (limit), or for one alone.' : '.';
  return `${shown}\n${leftOff}${advice}`;
}

function cut(text: string): string {
  if (text.length <= RESULT_CHARS) return text;
  return `${text.slice(0, RESULT_CHARS)}\n… cut here: the answer has ${text.length} characters.`;
}
