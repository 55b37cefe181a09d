// Finds where values end in a stream of RESP 2 or 3, and what a request calls.

const BYTE = { array: 0x2a, bulk: 0x24, push: 0x3e } as const;

/** A whole value at the start of what a connection has sent. */
interface Taken {
  readonly value: Buffer;
  readonly rest: Buffer;
}

/** The first value, once all of it has arrived. */
export function takeValue(bytes: Buffer): Taken | undefined {
  const end = endOfValue(bytes, 0);
  return end === undefined ? undefined : { value: bytes.subarray(0, end), rest: bytes.subarray(end) };
}

/** Words of a request: an array of bulk strings. */
export function readRequest(request: Buffer): string[] {
  const words: string[] = [];
  for (let at = endOfLine(request, 0) ?? request.length; request[at] === BYTE.bulk; ) {
    const start = endOfLine(request, at) ?? request.length;
    const length = Number(request.toString('latin1', at + 1, start - 2));
    words.push(request.toString('utf8', start, start + length));
    at = start + length + 2;
  }
  return words;
}

/** True for what Redis sends unasked (messages of a channel), so that it answers no request. */
export function isPush(value: Buffer): boolean {
  return value[0] === BYTE.push;
}

/** True for the null of either version. */
export function isNull(value: Buffer): boolean {
  return /^(_|\*-1|\$-1)\r\n$/.test(value.toString('latin1', 0, 8));
}

function endOfLine(bytes: Buffer, from: number): number | undefined {
  const at = bytes.indexOf('\r\n', from);
  return at === -1 ? undefined : at + 2;
}

function endOfValue(bytes: Buffer, from: number): number | undefined {
  const start = endOfLine(bytes, from);
  if (start === undefined) return undefined;
  const size = Number(bytes.toString('latin1', from + 1, start - 2));
  switch (String.fromCharCode(bytes[from] ?? 0)) {
    case '$':
    case '!':
    case '=': {
      const end = size < 0 ? start : start + size + 2;
      return end <= bytes.length ? end : undefined;
    }
    case '*':
    case '~':
    case '>':
      return endOfValues(bytes, start, size);
    case '%':
      return endOfValues(bytes, start, size * 2);
    case '|': // An attribute stands in front of the value it belongs to.
      return endOfValues(bytes, start, size * 2 + 1);
    default:
      return start;
  }
}

function endOfValues(bytes: Buffer, from: number, count: number): number | undefined {
  let end: number | undefined = from;
  for (let seen = 0; seen < count && end !== undefined; seen += 1) end = endOfValue(bytes, end);
  return end;
}
