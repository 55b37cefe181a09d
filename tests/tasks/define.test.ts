import * as v from 'valibot';
import { expect, test } from 'vitest';
import { PopfleetError } from '../../src/protocol/errors.ts';
import { defineTask, isTaskDefinition, type TaskDefinition } from '../../src/tasks/define.ts';
import { contextOf } from '../support/context.ts';

const input = v.strictObject({ text: v.string() });
const run = (): number => 1;

test('a definition keeps its parts, cannot be changed, and is known again', () => {
  const definition = defineTask({ type: 'shout', input, run: ({ text }) => text.toUpperCase() });
  expect(definition.type).toBe('shout');
  expect(definition.run({ text: 'hey' }, contextOf('shout'))).toBe('HEY');
  expect(isTaskDefinition(definition)).toBe(true);
  expect(Object.isFrozen(definition)).toBe(true);
});

test('a definition of another copy of this package is known too', () => {
  const foreign = { [Symbol.for('popfleet.task')]: true, type: 'foreign', input, run };
  expect(isTaskDefinition(foreign)).toBe(true);
});

test.each([undefined, null, 5, 'text', {}, [], { type: 'a', input, run }, run])(
  'what defineTask() did not make is none (%#)',
  (value) => {
    expect(isTaskDefinition(value)).toBe(false);
  },
);

test.each(['a', 'resize-image', 'mail.send_2', 'x'.repeat(64)])('the type %s is taken', (type) => {
  expect(defineTask({ type, input, run }).type).toBe(type);
});

test.each<[string, unknown, string | RegExp]>([
  ['nothing', undefined, 'the task type undefined must match'],
  ['no type', { input, run }, 'the task type undefined must match'],
  ['an empty type', { type: '', input, run }, 'the task type "" must match'],
  ['capitals', { type: 'Resize', input, run }, 'the task type "Resize" must match'],
  ['a digit first', { type: '2d', input, run }, 'the task type "2d" must match'],
  ['a slash', { type: 'a/b', input, run }, 'the task type "a/b" must match'],
  ['a brace', { type: 'a{b}', input, run }, 'the task type "a{b}" must match'],
  ['65 characters', { type: 'x'.repeat(65), input, run }, 'must match'],
  ['a line end', { type: 'add\n', input, run }, 'must match'],
  ['a type that is no text', { type: ['add'], input, run }, 'must match'],
  [
    'no input',
    { type: 'a', run },
    /^the input of task "a" must be a schema of valibot, zod.*v\.object\(\{\}\)/,
  ],
  [
    'an input that is no schema',
    { type: 'a', input: { one: 'number' }, run },
    'the input of task "a" must be',
  ],
  [
    'an asynchronous schema',
    { type: 'a', input: v.objectAsync({}), run },
    'must be a schema that needs no await',
  ],
  ['no run', { type: 'a', input }, 'task "a" needs a function "run"'],
  [
    'a place that is none',
    { type: 'a', input, run, runIn: 'main' },
    "runIn of task \"a\" must be 'thread' or 'inline'",
  ],
  [
    'an option beside its defaults',
    { type: 'a', input, run, maxAttempts: 5 },
    'maxAttempts of task "a" belongs into its defaults: defaults: { maxAttempts: … }',
  ],
  [
    'an option that there is not',
    { type: 'a', input, run, defaults: { timeout: 5 } },
    'the defaults of task "a" are not valid: timeout: is an unknown field (timeoutMs?)',
  ],
  ['a run that is no function', { type: 'a', input, run: 'x' }, 'task "a" needs a function "run"'],
])('a faulty definition is refused with what is wrong: %s', (_, definition, message) => {
  const define = (): unknown => defineTask(definition as TaskDefinition);
  expect(define).toThrow(PopfleetError);
  expect(define).toThrow(message);
});
