import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { decodeCbor, encodeCbor } from '../../src/protocol/cbor.ts';
import {
  ALL_NESTED_CHARS,
  ERROR_MESSAGE_CHARS,
  ERROR_STACK_CHARS,
  type ErrorCause,
  MOST_ERRORS,
  MOST_LEVELS,
  readTaskError,
  type TaskError,
  toTaskError,
} from '../../src/protocol/task-error.ts';

test('an error keeps its name, message and stack', () => {
  const error = new RangeError('too far');
  expect(toTaskError(error)).toEqual({ name: 'RangeError', message: 'too far', stack: error.stack });
});

test.each<[unknown, string]>([
  ['a text', 'a text'],
  [undefined, 'undefined was thrown'],
  [null, 'null was thrown'],
  [42n, '42'],
  [Symbol('s'), 'Symbol(s)'],
  [{ toString: () => 'spoken' }, 'spoken'],
])('something else that is thrown (%#) is told by its text', (thrown, message) => {
  expect(toTaskError(thrown)).toEqual({ name: 'Error', message });
});

test('endless messages and stacks are cut', () => {
  const error = new Error('m'.repeat(100_000));
  error.name = 'n'.repeat(100_000);
  error.stack = 's'.repeat(100_000);
  const { name, message, stack } = toTaskError(error);
  expect([name.length, message.length, stack?.length]).toEqual([256, ERROR_MESSAGE_CHARS, ERROR_STACK_CHARS]);
  expect(message.endsWith('m…')).toBe(true);
  expect(toTaskError('x'.repeat(100_000)).message).toHaveLength(ERROR_MESSAGE_CHARS);
});

const bomb = (): never => {
  throw new Error('bomb');
};

test.each<[string, () => unknown]>([
  ['a getter of the message', () => Object.defineProperty(new Error('x'), 'message', { get: bomb })],
  ['a getter of the stack', () => Object.defineProperty(new Error('x'), 'stack', { get: bomb })],
  ['a getter of the name', () => Object.defineProperty(new Error('x'), 'name', { get: bomb })],
  ['a toString that throws', () => ({ toString: bomb })],
  ['no toString at all', () => Object.create(null)],
  ['a proxy that throws at everything', () => new Proxy({}, { get: bomb, getPrototypeOf: bomb, has: bomb })],
  ['a message that is no text', () => Object.defineProperty(new Error('x'), 'message', { value: { a: 1 } })],
  ['a stack that is no text', () => Object.defineProperty(new Error('x'), 'stack', { value: bomb })],
  ['a message that is a function', () => Object.defineProperty(new Error('x'), 'message', { value: bomb })],
  ['a toString that answers no text', () => ({ toString: () => ({}) })],
])('a hostile value never throws, and what is stored is plain: %s', (_, make) => {
  const error = toTaskError(make());
  const stored = decodeCbor(encodeCbor(error)) as TaskError;
  expect(stored).toEqual(error);
  expect(typeof stored.name).toBe('string');
  expect(typeof stored.message).toBe('string');
  expect(['string', 'undefined']).toContain(typeof stored.stack);
});

const cause = (depth: number): Error =>
  new Error(`level ${depth}`, depth === 0 ? {} : { cause: cause(depth - 1) });

test.each<[string, unknown, Partial<TaskError>]>([
  [
    'an object with message and code, and its other members',
    { code: 'card_declined', message: 'the card was declined', retry: false, by: { bank: 'x' } },
    {
      name: 'Error',
      code: 'card_declined',
      message: 'the card was declined {"retry":false,"by":{"bank":"x"}}',
    },
  ],
  [
    'an object without a message',
    { error: 'invalid_grant', error_description: 'token expired' },
    { message: '{"error":"invalid_grant","error_description":"token expired"}' },
  ],
  [
    'an object within which an error stands',
    { error: new TypeError('inner') },
    { message: '{"error":"TypeError: inner"}' },
  ],
  [
    'an error that went through JSON',
    { name: 'TypeError', message: 'gone', stack: 'TypeError: gone' },
    { name: 'TypeError', message: 'gone', stack: 'TypeError: gone' },
  ],
  [
    'an object with a cause',
    { message: 'a', cause: new Error('b') },
    { message: 'a', cause: expect.objectContaining({ message: 'b' }) as TaskError },
  ],
  ['an array', ['a', 1n, { at: new Date(0) }], { message: '["a","1",{"at":"1970-01-01T00:00:00.000Z"}]' }],
  [
    'bytes',
    { message: 'short', bytes: new Uint8Array(1_000_000) },
    { message: 'short {"bytes":"1000000 bytes"}' },
  ],
  [
    'an answer of fetch',
    new Response(null, { status: 404, statusText: 'Not Found' }),
    { name: 'Response', message: 'Not Found', code: '404' },
  ],
  [
    'a class that hides from JSON',
    new (class Secret {
      readonly key = 'canary';
      toJSON(): object {
        return { public: 1 };
      }
    })(),
    { name: 'Secret', message: '{"public":1}' },
  ],
  ['an empty text', '', { message: 'an empty text was thrown' }],
  ['a blank text', ' \n', { message: 'an empty text was thrown' }],
  ['an object without anything', {}, { message: 'an object without a message' }],
  ['a Map', new Map([['a', 1]]), { name: 'Map', message: 'an object without a message' }],
  ['a function', function handler() {}, { message: 'a function was thrown (handler)' }],
  [
    'an error without a message',
    new RangeError(),
    { name: 'RangeError', message: 'an error without a message' },
  ],
  [
    'an error that has only a code',
    Object.assign(new Error(''), { code: 'ECONNRESET' }),
    { message: 'ECONNRESET', code: 'ECONNRESET' },
  ],
  [
    'an error with a number as code',
    Object.assign(new Error('dup'), { code: 11_000 }),
    { message: 'dup', code: '11000' },
  ],
  [
    'an error of an HTTP client',
    Object.assign(new Error('x'), { status: 429, config: { authorization: 'canary' } }),
    { message: 'x', code: '429' },
  ],
  ['an abort', new DOMException('stopped', 'AbortError'), { name: 'AbortError', message: 'stopped' }],
])('case 41: %s', (_, thrown, wanted) => {
  const error = toTaskError(thrown);
  expect(error).toMatchObject(wanted);
  expect(error.code).toBe(wanted.code);
  expect(JSON.stringify(error)).not.toContain('canary');
});

test('case 41: an error of another realm is an error', () => {
  const error = toTaskError(
    runInNewContext("new TypeError('from a sandbox', { cause: new RangeError('why') })"),
  );
  expect(error).toMatchObject({
    name: 'TypeError',
    message: 'from a sandbox',
    stack: expect.stringMatching(/^TypeError: from a sandbox\n {4}at /) as string,
    cause: { name: 'RangeError', message: 'why' },
  });
});

test('case 41: causes are kept down to a depth, a cycle ends', () => {
  const depthOf = (error: ErrorCause | undefined): number => (error ? 1 + depthOf(error.cause) : 0);
  expect(toTaskError(cause(2))).toMatchObject({
    message: 'level 2',
    cause: { message: 'level 1', cause: { message: 'level 0' } },
  });
  expect(depthOf(toTaskError(cause(50)))).toBe(MOST_LEVELS);

  const one = new Error('one');
  const two = new Error('two', { cause: one });
  one.cause = two;
  expect(toTaskError(one)).toMatchObject({ message: 'one', cause: { message: 'two' } });
  expect(depthOf(toTaskError(one))).toBe(2);
  expect(toTaskError(new Error('save', { cause: 'the disk is full' })).cause).toEqual({
    name: 'Error',
    message: 'the disk is full',
  });
});

test('case 41: the errors of an AggregateError are kept up to a number', () => {
  const refused = (at: number): Error =>
    Object.assign(new Error(`connect ECONNREFUSED ${at}`), { code: 'ECONNREFUSED' });
  const two = toTaskError(new AggregateError([refused(1), refused(2)]));
  expect(two).toMatchObject({
    name: 'AggregateError',
    message: '2 errors, the first of them: Error: connect ECONNREFUSED 1',
    errors: [
      { message: 'connect ECONNREFUSED 1', code: 'ECONNREFUSED' },
      { message: 'connect ECONNREFUSED 2', code: 'ECONNREFUSED' },
    ],
  });
  const many = toTaskError(new AggregateError(Array.from({ length: 1_000 }, (_, at) => `failed ${at}`)));
  expect(many.errors).toHaveLength(MOST_ERRORS + 1);
  expect(many.errors?.at(-1)?.message).toBe(`${1_000 - MOST_ERRORS} more errors were not kept`);
});

test('case 41: whatever is thrown, what is stored of it has a bounded size', () => {
  const long = 'm'.repeat(50_000);
  const wide = (depth: number): Error =>
    Object.assign(
      new AggregateError(depth === 0 ? [] : Array.from({ length: 20 }, () => wide(depth - 1)), long),
      {
        cause: depth === 0 ? undefined : wide(depth - 1),
        code: long,
      },
    );
  const chars = (value: unknown): number => JSON.stringify(value).length;
  const markup = 4_096;
  const own = 256 + 128 + ERROR_MESSAGE_CHARS + ERROR_STACK_CHARS;
  expect(chars(toTaskError(wide(3)))).toBeLessThan(own + ALL_NESTED_CHARS + markup);

  const members = Object.fromEntries(Array.from({ length: 10_000 }, (_, at) => [`key ${at}`, { long, at }]));
  expect(chars(toTaskError(members))).toBeLessThan(own);
  const cycle: Record<string, unknown> = {};
  cycle['again'] = cycle;
  expect(toTaskError(cycle).message).toContain('again');
});

test('case 41: a long message in front of a stack leaves room for the frames', () => {
  const { message, stack } = toTaskError(new Error('m'.repeat(100_000)));
  expect(message).toHaveLength(ERROR_MESSAGE_CHARS);
  expect(stack).toMatch(/^Error: m+…\n {4}at /);
});

test('case 41: half of an emoji, also where a text was cut, has a form in UTF-8', () => {
  const thrown = new Error(`${'m'.repeat(ERROR_MESSAGE_CHARS - 2)}😀😀`, { cause: '\uD83D alone' });
  const error = toTaskError(thrown);
  expect(decodeCbor(encodeCbor(error))).toEqual(error);
  expect(error.cause?.message).toBe('\uFFFD alone');
});

test('case 41: one getter that throws hides only itself', () => {
  const error = Object.defineProperty(new RangeError('readable'), 'stack', { get: bomb });
  expect(toTaskError(error)).toEqual({ name: 'RangeError', message: 'readable' });
  const members = Object.defineProperty({ a: 1 }, 'b', { get: bomb, enumerable: true });
  expect(toTaskError(members).message).toBe('{"a":1}');
});

test.each<[unknown, TaskError]>([
  [
    { name: 'E', message: 'm', fingerprint: 'f', killCause: 'timeout', killLatencyMs: 1 },
    { name: 'E', message: 'm', fingerprint: 'f', killCause: 'timeout', killLatencyMs: 1 },
  ],
  [
    { name: 'E', message: 'm', cause: { name: 'C', message: 'c', cause: 'text' } },
    {
      name: 'E',
      message: 'm',
      cause: { name: 'C', message: 'c', cause: { name: 'Error', message: 'text' } },
    },
  ],
  [
    { message: 'no name', killCause: 'of a later release', more: 1 },
    { name: 'Error', message: 'no name' },
  ],
  [{ reason: 'none of ours' }, { name: 'Error', message: '{"reason":"none of ours"}' }],
  ['a text', { name: 'Error', message: 'a text' }],
  [null, { name: 'Error', message: 'null was thrown' }],
])('case 41: an error that another program has stored is shown: %j', (stored, wanted) => {
  expect(readTaskError(encodeCbor(stored))).toEqual(wanted);
});

test('case 41: a stored error that is no CBOR is shown as such', () => {
  expect(readTaskError(Uint8Array.of(0xff, 0x00))).toEqual({
    name: 'Error',
    message: 'what is stored of the error cannot be read',
  });
});
