// What the export `popfleet/client` is made of: itself alone, code and types, so that it runs wherever there is `fetch`. And what is started:
// few files.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';

const REPO = fileURLToPath(new URL('../..', import.meta.url));

/** All that a file of the build imports, also by the way: files, and names of packages. */
function importsOf(entry: string, extension: string): Set<string> {
  const found = new Set<string>();
  const open = [join(REPO, entry)];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    const name = relative(REPO, file);
    if (found.has(name)) continue;
    found.add(name);
    const code = readFileSync(file, 'utf8')
      .replaceAll(/\/\*.*?\*\//gs, '')
      .replaceAll(/^\s*\/\/.*$/gm, '');
    const specifiers = code.matchAll(/(?:\bfrom|\bimport|\brequire)\s*\(?\s*['"]([^'"]+)['"]/g);
    for (const [, specifier = ''] of specifiers) {
      if (specifier.startsWith('.'))
        open.push(resolve(dirname(file), specifier.replace(/\.[jt]s$/, extension)));
      else found.add(specifier);
    }
  }
  return found;
}

test('code and types stand on nothing but the client itself', () => {
  for (const [entry, extension] of [
    ['dist/client/client.js', '.js'],
    ['dist/client/client.d.ts', '.d.ts'],
  ] as const) {
    const all = [...importsOf(entry, extension)];
    expect(all.length).toBeGreaterThan(8);
    expect(all.filter((name) => !name.startsWith('dist/client/'))).toEqual([]);
  }
  // The check can fail: the library stands on more.
  expect([...importsOf('dist/index.d.ts', '.d.ts')]).toContain('ioredis');
});

test.each(['cli', 'role-entry', 'index', 'testing/testing', 'worker/runners/thread-entry'])(
  '%s stands in few files, with what others share, and in no single module',
  (name) => {
    const files = [...importsOf(`dist/${name}.js`, '.js')].filter((file) => file.startsWith('dist/'));
    expect(files.filter((file) => !file.startsWith('dist/chunks/'))).toEqual([`dist/${name}.js`]);
  },
);

const PROGRAM = `import { ApiError, Popfleet, type TaskView } from 'popfleet/client';
declare const tasks: {
  readonly add: {
    readonly type: 'add';
    readonly input: { readonly '~standard': { readonly types?: { readonly input: { one: number; two: number } } } };
    run(input: { one: number; two: number }): Promise<number>;
  };
};
export async function add(): Promise<number> {
  const popfleet = new Popfleet<typeof tasks>({ url: 'http://127.0.0.1:3000', fetch: globalThis.fetch });
  for await (const event of popfleet.events('id', { signal: AbortSignal.timeout(1) })) {
    if (event.name === 'end') { const task: TaskView = event.data; console.log(task.result); }
  }
  try { return await popfleet.run('add', { one: 1, two: 2 }); }
  catch (error) { if (error instanceof ApiError) console.log(error.code); throw error; }
}
`;

test.each([
  ['a browser', { lib: ['es2022', 'dom'], types: [], module: 'esnext', moduleResolution: 'bundler' }],
  ['Node', { lib: ['es2022'], types: ['node'], module: 'nodenext' }],
])('a program for %s compiles with its types, and needs those of nothing else', (_, options) => {
  const folder = mkdtempSync(join(tmpdir(), 'popfleet-client-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(REPO, join(folder, 'node_modules', 'popfleet'));
  symlinkSync(join(REPO, 'node_modules', '@types'), join(folder, 'node_modules', '@types'));
  writeFileSync(join(folder, 'program.ts'), PROGRAM);
  const strict = { strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false, noEmit: true };
  const compilerOptions = { target: 'es2022', ...strict, ...options };
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['program.ts'] }));
  const tsc = join(REPO, 'node_modules', '.bin', 'tsc');
  const said = (): string => {
    try {
      return execFileSync(tsc, ['-p', folder], { encoding: 'utf8' });
    } catch (error) {
      return (error as { readonly stdout: string }).stdout;
    }
  };
  expect(said()).toBe('');
});
