import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { PopfleetError } from '../../src/protocol/errors.ts';
import { loadRegistry, queuesOf, type Registry } from '../../src/tasks/registry.ts';
import { contextOf } from '../support/context.ts';

const baseDir = fileURLToPath(new URL('../fixtures', import.meta.url));

function load(...taskModules: string[]): Promise<Registry> {
  return loadRegistry({ taskDurationMs: 0, taskModules, baseDir });
}

async function faultOf(...taskModules: string[]): Promise<PopfleetError> {
  const fault: unknown = await load(...taskModules).catch((error: unknown) => error);
  expect(fault).toBeInstanceOf(PopfleetError);
  expect(fault).toMatchObject({ code: 'bad-definition' });
  return fault as PopfleetError;
}

test('the built-in types are always there', async () => {
  expect([...(await load()).keys()]).toEqual(['add', 'subtract', 'multiply']);
});

test('the exports of a module join them: named ones, the default, and those in an array', async () => {
  const registry = await load('tasks.mjs', './task-array.mjs');
  const types = [...registry.keys()];
  expect(types.slice(0, 3)).toEqual(['add', 'subtract', 'multiply']);
  expect(types.slice(3)).toEqual(
    expect.arrayContaining(['greet', 'in-array-1', 'in-array-2', 'the-default']),
  );
  expect(registry.get('greet')?.run({ name: 'Ada' }, contextOf('greet'))).toBe('Hello, Ada!');
});

test('its queues are the one of tasks that name none, and those that definitions name, each once', async () => {
  expect(queuesOf(await load())).toEqual(['default']);
  expect(queuesOf(await load('follow.mjs', 'with-defaults.mjs'))).toEqual(['default', 'side']);
});

test('an absolute path works as well', async () => {
  expect((await load(`${baseDir}/task-array.mjs`)).has('in-array-1')).toBe(true);
});

test.each<[string, string[], RegExp]>([
  [
    'a missing file',
    ['no-such-file.mjs'],
    /^cannot load the task module no-such-file\.mjs: there is no file \/.*no-such-file\.mjs$/,
  ],
  [
    'a module that throws',
    ['bad-throws.mjs'],
    /^cannot load the task module bad-throws\.mjs: thrown on purpose\n/,
  ],
  [
    'a faulty definition',
    ['bad-type.mjs'],
    /^cannot load the task module bad-type\.mjs: the task type "Not A Type" must match/,
  ],
  [
    'no definitions',
    ['bad-no-task.mjs'],
    /^bad-no-task\.mjs exports no task: export what defineTask\(\) returns \(task looks like/,
  ],
  [
    'a default export of another kind',
    ['bad-default.mjs'],
    /^the default export of bad-default\.mjs was not made by defineTask\(\)$/,
  ],
  [
    'an array with something else in it',
    ['bad-array.mjs'],
    /^default\[1\] of bad-array\.mjs was not made by defineTask\(\)$/,
  ],
  [
    'the type of a built-in task',
    ['bad-clash.mjs'],
    /^task type "add" is defined twice: in popfleet itself and in bad-clash\.mjs$/,
  ],
  [
    'one type in two modules',
    ['task-array.mjs', 'tasks.mjs', 'bad-clash-two.mjs'],
    /^task type "greet" is defined twice: in tasks\.mjs and in bad-clash-two\.mjs$/,
  ],
])('the start stops at %s', async (_, modules, message) => {
  expect((await faultOf(...modules)).message).toMatch(message);
});

test('a module that is named twice counts once', async () => {
  expect((await load('task-array.mjs', './task-array.mjs')).has('in-array-1')).toBe(true);
});

test('a helper beside the definitions of a module is no mistake', async () => {
  // tasks.mjs also exports a function and a constant.
  await expect(load('tasks.mjs')).resolves.toBeDefined();
});
