import { expect, test } from 'vitest';
import { decodeCbor, encodeCbor } from '../../src/protocol/cbor.ts';
import {
  ERROR_MESSAGE_CHARS,
  ERROR_STACK_CHARS,
  type TaskError,
  toTaskError,
} from '../../src/protocol/task-error.ts';

test('an error keeps its name, message and stack', () => {
  const error = new RangeError('too far');
  expect(toTaskError(error)).toEqual({ name: 'RangeError', message: 'too far', stack: error.stack });
});

test.each<[unknown, string]>([
  ['a text', 'a text'],
  [undefined, 'undefined'],
  [null, 'null'],
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
