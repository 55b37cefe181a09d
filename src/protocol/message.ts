// The message that stands for a task on a Redis list, CBOR `[id, 1, type, input, options?]`, and its content, which is the
// message without id and version: `[type, input, options?]`. The id is always the first element in its 36-character form,
// so its bytes stand at a fixed place and a Lua script can read it without decoding CBOR. popfleet itself keeps the content
// under the id and lists `[id, 1, type]`; a whole message comes from another program (take.lua reads it).

import { decodeCbor, decodeTrusted, encodeCbor } from './cbor.ts';
import { CborFault, scanCbor, textOf } from './cbor-scan.ts';
import { isInstant } from './instant.ts';
import { TASK_TYPE } from './names.ts';

/** Offset of the type, after the head of the array. */
const TYPE_AT = 1;

export type MessageOptions = Readonly<Record<string, unknown>>;

export interface TaskContent {
  readonly type: string;
  readonly input: unknown;
  readonly options: MessageOptions;
}

/**
 * Encodes a task once; every later claim and retry carries these bytes unchanged.
 * @param options `undefined` when there are none
 */
export function encodeContent(type: string, input: unknown, options?: MessageOptions): Buffer {
  return encodeCbor(options ? [type, input, options] : [type, input]);
}

/** Reads the type from its fixed place, without decoding the input. `undefined` when the bytes are no content. */
export function typeOfContent(bytes: Uint8Array): string | undefined {
  const end = typeEnd(bytes);
  if (end === undefined || end > bytes.length) return undefined;
  const type = textOf(bytes, bytes[TYPE_AT] === 0x78 ? TYPE_AT + 2 : TYPE_AT + 1, end);
  return TASK_TYPE.test(type) ? type : undefined;
}

/** Types are at most 64 characters: a short text head, or one with a length byte. (take.lua checks the same.) */
function typeEnd(bytes: Uint8Array): number | undefined {
  const isHead = bytes[0] === 0x82 || bytes[0] === 0x83;
  const typeHead = bytes[TYPE_AT] ?? 0;
  if (!isHead || typeHead < 0x60 || typeHead > 0x78) return undefined;
  return typeHead === 0x78 ? TYPE_AT + 2 + (bytes[TYPE_AT + 1] ?? 0) : TYPE_AT + 1 + typeHead - 0x60;
}

/** Whether the content has options. The bytes must be a content. */
export function hasOptions(content: Uint8Array): boolean {
  return content[0] === 0x83;
}

/**
 * Reads the options alone: the input in front of them is walked, but no value of it is built.
 * @throws CborFault when the bytes are no plain content
 */
export function optionsOfContent(bytes: Uint8Array): MessageOptions {
  if (!hasOptions(bytes)) return {};
  return toOptions(decodeCbor(bytes.subarray(scanCbor(bytes, typeEnd(bytes)))));
}

/**
 * Decodes a whole content, which any program may have written.
 * @throws CborFault when the bytes are not such an array of plain values.
 */
export function decodeContent(bytes: Uint8Array): TaskContent {
  const type = typeOfContent(bytes);
  if (type === undefined) throw new CborFault('not an array [type, input, options?]', 0);
  const inputEnd = scanCbor(bytes, typeEnd(bytes));
  const end = hasOptions(bytes) ? scanCbor(bytes, inputEnd) : inputEnd;
  if (end !== bytes.length) throw new CborFault('bytes follow the message', end);
  const fields = decodeTrusted(bytes) as readonly unknown[];
  return { type, input: fields[1], options: toOptions(fields[2] ?? {}) };
}

/** The tick of a schedule that made a task; `due` in milliseconds since 1970. */
export interface TickOfSchedule {
  readonly name: string;
  readonly due: number;
}

/** Reads the option `schedule`; `undefined` when it is not as popfleet writes it, as in a message of another program. */
export function readTick({ schedule }: MessageOptions): TickOfSchedule | undefined {
  const { name, due } = (schedule ?? {}) as Partial<TickOfSchedule>;
  return typeof name === 'string' && isInstant(due) ? { name, due } : undefined;
}

/** The end of the task that a task follows. */
export interface Cause {
  readonly id: string;
  /** `succeeded`, `dead`, `cancelled`; `removed` when there was no such task any more. */
  readonly state: string;
  /** Of a task that succeeded, if it had any. */
  readonly result?: unknown;
  /** Of any other: a map as docs/protocol.md has it. */
  readonly error?: { readonly name: string; readonly message: string };
}

/** Reads the option `cause`; `undefined` when it is not as popfleet writes it. */
export function readCause({ cause }: MessageOptions): Cause | undefined {
  const { id, state } = (cause ?? {}) as Partial<Cause>;
  return typeof id === 'string' && typeof state === 'string' ? (cause as Cause) : undefined;
}

function toOptions(options: unknown): MessageOptions {
  const isMap = typeof options === 'object' && options !== null && !Array.isArray(options);
  if (!isMap) throw new CborFault('options that are no map', 0);
  return options as MessageOptions;
}
