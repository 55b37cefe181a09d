// The message that stands for a task on a Redis list: CBOR `[id, 1, type, input, options?]`.
// The id is always the first element in its 36-character form, so its bytes stand at a fixed place and a Lua script
// can read it without decoding CBOR.

import { decodeCbor, decodeTrusted, encodeCbor } from './cbor.ts';
import { CborFault, DEFAULT_SCAN_LIMITS, scanCbor } from './cbor-scan.ts';
import { TASK_ID, TASK_TYPE } from './names.ts';

export const MESSAGE_VERSION = 1;

/** Bytes before the id: an array head and the head of a text of 36 bytes (RFC 8949, section 3). */
const ID_START = 3;
const ID_END = ID_START + 36;
const VERSION_AT = ID_END;
const TYPE_AT = VERSION_AT + 1;

export type MessageOptions = Readonly<Record<string, unknown>>;

export interface TaskMessage {
  readonly id: string;
  readonly type: string;
  readonly input: unknown;
  readonly options: MessageOptions;
}

/** Encodes a task once; every later push, claim and retry carries these bytes unchanged. */
export function encodeMessage(id: string, type: string, input: unknown, options?: MessageOptions): Buffer {
  const head = [id, MESSAGE_VERSION, type, input];
  return encodeCbor(options && Object.keys(options).length > 0 ? [...head, options] : head);
}

/** Reads id and type from the fixed places, without decoding the input. `undefined` when the bytes are no message. */
export function readEnvelope(bytes: Uint8Array): { id: string; type: string } | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isHead =
    (text[0] === 0x83 || text[0] === 0x84 || text[0] === 0x85) && text[1] === 0x78 && text[2] === 36;
  if (!isHead || text[VERSION_AT] !== MESSAGE_VERSION) return undefined;
  const id = text.toString('latin1', ID_START, ID_END);
  const typeHead = text[TYPE_AT] ?? 0;
  // Types are at most 64 characters: a short text head, or one with a length byte. (take.lua checks the same.)
  if (typeHead > 0x78) return undefined;
  const [start, length] =
    typeHead === 0x78 ? [TYPE_AT + 2, text[TYPE_AT + 1] ?? 0] : [TYPE_AT + 1, typeHead - 0x60];
  const type = text.toString('latin1', start, start + length);
  const isWhole = type.length === length;
  return isWhole && TASK_ID.test(id) && TASK_TYPE.test(type) ? { id, type } : undefined;
}

/**
 * Reads the options alone: the input in front of them is walked, but no value of it is built.
 * @throws CborFault when the bytes are no plain message
 */
export function readMessageOptions(bytes: Uint8Array): MessageOptions {
  const typeHead = bytes[TYPE_AT] ?? 0;
  if (bytes[0] !== 0x85) return {};
  const inputAt = typeHead === 0x78 ? TYPE_AT + 2 + (bytes[TYPE_AT + 1] ?? 0) : TYPE_AT + 1 + typeHead - 0x60;
  return toOptions(decodeCbor(bytes.subarray(scanCbor(bytes, inputAt))));
}

/**
 * Decodes a whole message, which any program may have pushed.
 * @throws CborFault when the bytes are not such an array of plain values.
 */
export function decodeMessage(bytes: Uint8Array): TaskMessage {
  const envelope = readEnvelope(bytes);
  if (!envelope) throw new CborFault('not an array [id, 1, type, input, options?]', 0);
  // One level and three items more than a body may have: the array itself, its id, version and type.
  const limits = { depth: DEFAULT_SCAN_LIMITS.depth + 1, nodes: DEFAULT_SCAN_LIMITS.nodes + 16 };
  const end = scanCbor(bytes, 0, limits);
  if (end !== bytes.length) throw new CborFault('bytes follow the message', end);
  const fields = decodeTrusted(bytes) as readonly unknown[];
  return { ...envelope, input: fields[3], options: toOptions(fields[4] ?? {}) };
}

/** The tick of a schedule that a task stands for; `due` in milliseconds since 1970. */
export interface TickOfSchedule {
  readonly name: string;
  readonly due: number;
}

/** What made the task: the option `schedule`, when popfleet wrote it. A foreign program may have written anything. */
export function readTick({ schedule }: MessageOptions): TickOfSchedule | undefined {
  const { name, due } = (schedule ?? {}) as Partial<TickOfSchedule>;
  return typeof name === 'string' && Number.isSafeInteger(due) ? { name, due: due as number } : undefined;
}

function toOptions(options: unknown): MessageOptions {
  const isMap = typeof options === 'object' && options !== null && !Array.isArray(options);
  if (!isMap) throw new CborFault('options that are no map', 0);
  return options as MessageOptions;
}
