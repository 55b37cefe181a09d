// Modules with tasks as people write and compile them, and what is said of those that cannot be loaded. They are loaded by the
// built program in a process of its own: the test runner has its own ways with CommonJS.

import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { importModule } from '../../src/tasks/import-module.ts';
import { endAll, spawnRole, startRole } from '../support/fleet.ts';
import { post } from '../support/http.ts';

const REPO = fileURLToPath(new URL('../..', import.meta.url));

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'popfleet-forms-'));
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(REPO, join(folder, 'node_modules', 'popfleet'));
  for (const [name, text] of Object.entries({ ...FORMS, ...FAULTY, ...HELPERS })) {
    writeFileSync(join(folder, name), text);
  }
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const ESM = `import { defineTask, v } from 'popfleet';
const task = (type) => defineTask({ type, input: v.unknown(), run: () => type });
`;
const CJS = `const { defineTask, v } = require('popfleet');
const task = (type) => defineTask({ type, input: v.unknown(), run: () => type });
`;
/** As TypeScript 5 and 7 write it for \`module: commonjs\`. */
const TSC = `"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.named = void 0;
const popfleet_1 = require("popfleet");
const task = (type) => (0, popfleet_1.defineTask)({ type, input: popfleet_1.v.unknown(), run: () => type });
`;
/** As esbuild writes it for \`format: cjs\`. */
const ESBUILD = `"use strict";
var __defProp = Object.defineProperty;
var __getOwnPropDesc = Object.getOwnPropertyDescriptor;
var __getOwnPropNames = Object.getOwnPropertyNames;
var __hasOwnProp = Object.prototype.hasOwnProperty;
var __export = (target, all) => {
  for (var name in all) __defProp(target, name, { get: all[name], enumerable: true });
};
var __copyProps = (to, from, except, desc) => {
  if (from && typeof from === "object" || typeof from === "function") {
    for (let key of __getOwnPropNames(from))
      if (!__hasOwnProp.call(to, key) && key !== except)
        __defProp(to, key, { get: () => from[key], enumerable: !(desc = __getOwnPropDesc(from, key)) || desc.enumerable });
  }
  return to;
};
var __toCommonJS = (mod) => __copyProps(__defProp({}, "__esModule", { value: true }), mod);
var tasks_exports = {};
__export(tasks_exports, { default: () => tasks_default, named: () => named });
module.exports = __toCommonJS(tasks_exports);
var import_popfleet = require("popfleet");
var task = (type) => (0, import_popfleet.defineTask)({ type, input: import_popfleet.v.unknown(), run: () => type });
var named = task("esbuild-named");
var tasks_default = task("esbuild-default");
`;

/** Each file has the types that begin with its name. */
const FORMS: Readonly<Record<string, string>> = {
  'by-hand.cjs': `${CJS}exports.one = task('by-hand-one'); exports.two = task('by-hand-two'); exports.helper = () => 1;`,
  'alone.cjs': `${CJS}module.exports = task('alone-task');`,
  'list.cjs': `${CJS}module.exports = [task('list-one'), task('list-two')];`,
  'object.cjs': `${CJS}const spec = { type: 'no', run() {} }; module.exports = { one: task('object-one'), spec, limit: 5 };`,
  'tsc.cjs': `${TSC}exports.named = task('tsc-named'); exports.default = task('tsc-default');`,
  'tsc-list.cjs': `${TSC}exports.default = [task('tsc-list-one'), task('tsc-list-two')];`,
  'tsc-star.cjs': `${TSC}Object.defineProperty(exports, 'passed', { enumerable: true, get: () => require('./alone.cjs') });
exports.named = task('tsc-star-one');`,
  'esbuild.cjs': ESBUILD,
  'default.mjs': `${ESM}export default task('default-task');`,
  'default-list.mjs': `${ESM}export default [task('default-list-one'), [task('default-list-two')]];`,
  'default-object.mjs': `${ESM}export default { one: task('default-object-one'), helper() {} };`,
  'named-object.mjs': `${ESM}export const tasks = { one: task('named-object-one') };
export const settings = { get secret() { throw new Error('read'); } };`,
  'twice.mjs': `${ESM}export const one = task('twice-task'); export { one as again }; export default one;`,
  'passed-on.mjs': `export * from './twice.mjs'; export * as all from './default-list.mjs';`,
  'class.mjs': `import { defineTask, v } from 'popfleet';
class Report {
  #prefix = 'class';
  type = 'class-task';
  input = v.unknown();
  get defaults() { return { maxAttempts: 1 }; }
  run() { return this.suffix(); }
  suffix() { return this.#prefix + '-task'; }
}
export const report = defineTask(new Report());
export class Static { static type = 'class-static'; static input = v.unknown(); static run() { return this.type; } }
export const fromClass = defineTask(Static);`,
  'frozen.mjs': `import { defineTask, v } from 'popfleet';
export const one = Object.freeze(defineTask(Object.freeze({ type: 'frozen-task', input: Object.freeze(v.unknown()), run() { return this.type; } })));
Object.freeze(exports);
var exports = [one];`,
  'typed.ts': `import { defineTask, type TaskContext, v } from 'popfleet';
import type { Name } from './typed-helper';
import { name } from './typed-helper';
import { Kind } from './typed-kind.js';
const input = v.unknown();
export const one = defineTask({ type: 'typed-one', input, run: (_: unknown, context: TaskContext): Name => name('typed', Kind.One) });
export const two = defineTask({ type: 'typed-two', input, run: () => 'typed-two' satisfies string });`,
  'typed-default.mts': `import { defineTask, v } from 'popfleet';
export default defineTask({ type: 'typed-default-task', input: v.unknown(), run: (): string => 'typed-default-task' });`,
  'typed-common.cts': `import popfleet = require('popfleet');
export = popfleet.defineTask({ type: 'typed-common-task', input: popfleet.v.unknown(), run: (): string => 'typed-common-task' });`,
  'helper-default.mjs': `${ESM}export const one = task('helper-default-one'); export default function helper() {}`,
};

const TYPES: Readonly<Record<string, readonly string[]>> = {
  'by-hand.cjs': ['by-hand-one', 'by-hand-two'],
  'alone.cjs': ['alone-task'],
  'list.cjs': ['list-one', 'list-two'],
  'object.cjs': ['object-one'],
  'tsc.cjs': ['tsc-default', 'tsc-named'],
  'tsc-list.cjs': ['tsc-list-one', 'tsc-list-two'],
  'tsc-star.cjs': ['alone-task', 'tsc-star-one'],
  'esbuild.cjs': ['esbuild-default', 'esbuild-named'],
  'default.mjs': ['default-task'],
  'default-list.mjs': ['default-list-one', 'default-list-two'],
  'default-object.mjs': ['default-object-one'],
  'named-object.mjs': ['named-object-one'],
  'twice.mjs': ['twice-task'],
  'passed-on.mjs': ['default-list-one', 'default-list-two', 'twice-task'],
  'class.mjs': ['class-static', 'class-task'],
  'frozen.mjs': ['frozen-task'],
  'typed.ts': ['typed-one', 'typed-two'],
  'typed-default.mts': ['typed-default-task'],
  'typed-common.cts': ['typed-common-task'],
  'helper-default.mjs': ['helper-default-one'],
};

const HELPERS: Readonly<Record<string, string>> = {
  'helper.cjs': `require('not-installed');`,
  'typed-helper.ts': `export type Name = string;\nexport const name = (first: string, kind: { toString(): string }): Name => first + '-' + kind;`,
  'typed-kind.ts': `export enum Kind { One = 'one' }`,
  'broken-helper.mjs': `\nexport const broken = ;\n`,
  'broken.cjs': `const a = 1;\nexports.broken = ;\n`,
};

/** What cannot be loaded, and what is said: the reason in the first line, the place below it. */
const FAULTY: Readonly<Record<string, string>> = {
  'syntax.mjs': `const fine = 1;\nexport const broken = ;\n`,
  'syntax-inside.mjs': `import './broken-helper.mjs';`,
  'syntax.cjs': `require('./broken.cjs');`,
  'throws.mjs': `function connect() {\n  throw new TypeError('no address');\n}\nconnect();`,
  'throws.cjs': `\nthrow new Error('no address');`,
  'throws-text.mjs': `throw { code: 7 };`,
  'bad-definition.mjs': `import { defineTask } from 'popfleet';\n\nexport const one = defineTask({ type: 'No' });`,
  'no-package.mjs': `import 'not-installed';`,
  'no-package.cjs': `require('./helper.cjs');`,
  'no-file-inside.mjs': `import './not-there.mjs';`,
  'no-name.mjs': `import { nothing } from './default.mjs';\nexport default nothing;`,
  'syntax.ts': `const fine: number = 1;\nexport const broken = ;`,
  'throws.ts': `function connect(): never {\n  throw new TypeError('no address');\n}\nconnect();`,
  'no-package.ts': `import 'not-installed';`,
  'forgotten.cjs': `exports.one = { type: 'forgotten', input: {}, run() {} };`,
  'forgotten-default.cjs': `module.exports = { type: 'forgotten', input: {}, run() {} };`,
};

const SAID: Readonly<Record<string, RegExp>> = {
  'syntax.mjs': /SyntaxError: Unexpected token ';'\n.*syntax\.mjs:2\nexport const broken = ;\n +\^$/,
  'syntax-inside.mjs':
    /SyntaxError: Unexpected token ';'\n.*broken-helper\.mjs:2\nexport const broken = ;\n +\^$/,
  'syntax.cjs':
    /SyntaxError: Unexpected token ';'\n.*broken\.cjs:2\nexports\.broken = ;\n +\^\n.*syntax\.cjs:1/,
  'throws.mjs': /: TypeError: no address\n +at connect \(.*throws\.mjs:2:9\)\n +at .*throws\.mjs:4:1$/,
  'throws.cjs': /: no address\n.* \(.*throws\.cjs:2:7\)$/,
  'throws-text.mjs': /: it threw \{ code: 7 \}$/,
  'bad-definition.mjs': /: the task type "No" must match [^\n]+\n +at .*bad-definition\.mjs:3:20$/,
  'no-package.mjs': /: Cannot find package 'not-installed' imported from \S*no-package\.mjs$/,
  'no-package.cjs':
    /: Cannot find module 'not-installed'\nRequire stack:\n- \S*helper\.cjs\n- \S*no-package\.cjs\n/,
  'no-file-inside.mjs': /: Cannot find module '\S*not-there\.mjs' imported from \S*no-file-inside\.mjs$/,
  'no-name.mjs': /SyntaxError: The requested module '\.\/default\.mjs' does not .*\n.*no-name\.mjs:1\n/,
  'forgotten.cjs':
    /exports no task: export what defineTask\(\) returns \(.*one looks like a task, but was not made/,
  'forgotten-default.cjs': /^the default export of forgotten-default\.cjs was not made by defineTask\(\)$/,
  'syntax.ts': /ParseError: Unexpected token.*\n.*syntax\.ts:2:22/,
  'throws.ts': /: TypeError: no address\n +at connect \(.*throws\.ts:2:9\)\n +at .*throws\.ts:4:1/,
  'no-package.ts': /Cannot find module 'not-installed'\nRequire stack:\n- \S*no-package\.ts/,
  'not-there.ts': /: there is no file \S*not-there\.ts$/,
  'not-there.mjs': /: there is no file \S*not-there\.mjs$/,
  default: /: there is no file \S*default \(there is \S*default\.mjs\)$/,
  node_modules: /: \S*node_modules is a folder: name a file$/,
};

const LOAD = `
const { loadRegistry } = await import(process.argv[1]);
const answers = {};
for (const module of process.argv.slice(2)) {
  try {
    const registry = await loadRegistry({ taskDurationMs: 0, taskModules: [module], baseDir: process.cwd() });
    const own = [...registry.values()].slice(3);
    answers[module] = { types: own.map(({ type }) => type).sort(), results: own.map((task) => task.run(null)).sort() };
  } catch (error) {
    answers[module] = error.code + ' ' + error.message;
  }
}
process.stdout.write(JSON.stringify(answers));
`;

async function load(modules: readonly string[], cwd = folder): Promise<Readonly<Record<string, unknown>>> {
  const registry = new URL('../../dist/tasks/registry.js', import.meta.url).href;
  const args = ['--input-type=module', '--eval', LOAD, registry, ...modules];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd });
  return JSON.parse(stdout) as Record<string, unknown>;
}

describe('case 29 and case 53: modules as people write them', () => {
  it('case 53: each form loads, and `this` in a handler is what was given to defineTask()', async () => {
    const names = Object.keys(TYPES);
    const expected = Object.fromEntries(
      names.map((name) => [name, { types: TYPES[name], results: TYPES[name] }]),
    );
    expect(await load(names)).toEqual(expected);
  });

  it('case 53: they run in threads and inline, several modules that pass on the same task together', async () => {
    const tasks = [
      'tsc.cjs',
      'esbuild.cjs',
      'alone.cjs',
      'tsc-star.cjs',
      'class.mjs',
      'twice.mjs',
      'passed-on.mjs',
      'typed.ts',
    ];
    const role = await startRole('all', {}, folder, ['--tasks', tasks.map((name) => `./${name}`).join(',')]);
    try {
      for (const type of [
        'tsc-default',
        'esbuild-named',
        'alone-task',
        'class-task',
        'twice-task',
        'typed-one',
      ]) {
        const { body } = await post(`${role.url()}/v1/tasks?wait=20`, { type, input: 1 });
        expect(body).toMatchObject({ state: 'succeeded', result: type });
      }
    } finally {
      role.signal('SIGTERM');
      await role.exited;
    }
  });

  it('case 29: what cannot be loaded is named with the reason, the place and the stack in the files of the user', async () => {
    const said = await load(Object.keys(SAID));
    for (const [name, expected] of Object.entries(SAID)) {
      expect(said[name], name).toMatch(/^bad-definition /);
      expect(String(said[name]).slice('bad-definition '.length), name).toMatch(expected);
      expect(said[name], name).not.toMatch(/node:internal|dist\/tasks/);
    }
  });

  it('case 29: who has not installed popfleet beside a module is told how', async () => {
    const alone = mkdtempSync(join(tmpdir(), 'popfleet-alone-'));
    onTestFinished(() => rmSync(alone, { recursive: true, force: true }));
    const forms = { 'tasks.mjs': ESM, 'tasks.cjs': `require('popfleet/testing');`, 'tasks.ts': ESM };
    for (const [name, text] of Object.entries(forms)) writeFileSync(join(alone, name), text);
    const hint =
      /: Cannot find \w+ 'popfleet[^\n]*; install it beside the module: npm install popfleet(?:\n|$)/;
    for (const said of Object.values(await load(Object.keys(forms), alone))) expect(said).toMatch(hint);
  });

  it('case 29: a top-level await that nothing can settle ends the start with exit code 78 and a sentence', async () => {
    writeFileSync(join(folder, 'unsettled.mjs'), `await new Promise(() => {});\nexport default 1;`);
    writeFileSync(join(folder, 'unsettled-inside.mjs'), `import './unsettled.mjs';`);
    for (const name of ['unsettled.mjs', 'unsettled-inside.mjs']) {
      const role = spawnRole('all', { TASKS: `./${name}` }, folder);
      try {
        expect(await role.exited).toBe(78);
        expect(role.errors()).toMatch(
          new RegExp(
            `^cannot load the task module \\./${name}: its top-level await waits for a promise that nothing can settle`,
          ),
        );
      } finally {
        await endAll([role]);
      }
    }
  });

  it('case 29: a module that takes long is named once, and loads all the same', async () => {
    writeFileSync(join(folder, 'slow.mjs'), `await globalThis.slowModule;\nexport const one = 1;`);
    const world = globalThis as { slowModule?: Promise<unknown> };
    const written: string[] = [];
    const write = process.stderr.write;
    let open = (): void => undefined;
    world.slowModule = new Promise<void>((resolve) => {
      open = resolve;
    });
    process.stderr.write = (text: string | Uint8Array) => {
      written.push(String(text));
      open();
      return true;
    };
    try {
      expect(await importModule('./slow.mjs', folder, 20)).toMatchObject({ one: 1 });
    } finally {
      process.stderr.write = write;
      delete world.slowModule;
    }
    expect(written).toEqual(['popfleet: still loading ./slow.mjs after 0.02 s\n']);
  });
});

it('case 53: a program in CommonJS may require the package, and its types', async () => {
  const text = `const { openPopfleet, defineTask, RetryLater } = require('popfleet');
process.stdout.write([typeof openPopfleet, typeof defineTask, new RetryLater(5).delayMs].join());`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--eval', text], { cwd: folder });
  expect(stdout).toBe('function,function,5');
});
