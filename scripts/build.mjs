// Builds dist/ from src/: compiles the TypeScript and copies everything else (the Lua scripts, a style) beside it,
// the files of the page that shows the API, and the libraries of the dashboard. What is started or imported by its name gets its modules
// in few files.
// setup.mjs asks `isBuilt` before each start, so the answer rests on file contents: a checkout or a copy,
// which touch every time stamp, cause no build, and a deleted file does.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const src = join(root, 'src');
const dist = join(root, 'dist');
const stampName = '.stamp';
/** The page at /docs: a library that is only needed here. */
const swagger = join(root, 'node_modules', 'swagger-ui-dist');
const PAGE_FILES = ['swagger-ui.css', 'swagger-ui-bundle.js'];
/** The libraries of the dashboard → their names in dist/ui, to which the import map of the page leads. */
const LIBRARY_FILES = new Map([
  ['preact/dist/preact.mjs', 'preact.js'],
  ['preact/hooks/dist/hooks.mjs', 'preact-hooks.js'],
  ['preact/jsx-runtime/dist/jsxRuntime.mjs', 'preact-jsx-runtime.js'],
  ['uplot/dist/uPlot.iife.min.js', 'uplot.js'],
  ['uplot/dist/uPlot.min.css', 'uplot.css'],
]);

/**
 * What Node starts, and what programs import, but for `popfleet/client`, which stands on few modules and is read as it is. Node looks up,
 * reads and links each module by itself: for the some 270 of a server that was a third of its start.
 */
const ENTRIES = [
  'cli',
  'index',
  'role-entry',
  'testing/testing',
  'worker/runners/process-entry',
  'worker/runners/process-watch',
  'worker/runners/thread-entry',
];

export function isBuilt() {
  try {
    return readFileSync(join(dist, stampName), 'utf8') === fingerprint();
  } catch {
    return false;
  }
}

/** Replaces dist/ by a new build, or leaves it as it was and throws an error whose message is the compiler's. */
export async function build() {
  // Taken before the compiler reads: what changes meanwhile makes the next start build again.
  const stamp = fingerprint();
  // Beside dist/, so that the swap is a rename, and under a name of its own, so that two builds never mix.
  const next = mkdtempSync(`${dist}.new-`);
  const old = `${next}.old`;
  try {
    cpSync(src, next, { recursive: true, filter: (path) => !/\.tsx?$|tsconfig\.json$/.test(path) });
    for (const name of PAGE_FILES) cpSync(join(swagger, name), join(next, 'docs', name));
    for (const [from, name] of LIBRARY_FILES) {
      const text = withoutSourceMap(readFileSync(join(root, 'node_modules', from), 'utf8'));
      writeFileSync(join(next, 'ui', name), name === 'uplot.js' ? asModule(text) : text);
    }
    compile('tsconfig.json', next);
    compile('src/ui/tsconfig.json', join(next, 'ui'));
    await bundle(next);
    chmodSync(next, 0o755); // mkdtemp makes it private, but another user may run what is built here
    chmodSync(join(next, 'cli.js'), 0o755);
    writeFileSync(join(next, stampName), stamp);
    if (existsSync(dist)) renameSync(dist, old);
    renameSync(next, dist);
  } finally {
    for (const left of [next, old]) rmSync(left, { recursive: true, force: true });
  }
}

/** The map is not copied: a browser would ask for it in vain. */
function withoutSourceMap(text) {
  return text.replace(/\n?\/\/# sourceMappingURL=.*\s*$/, '\n');
}

/** uPlot comes minified only as a script that makes a variable: 22 kB compressed, where its module has 40. */
function asModule(text) {
  return `${text}export default uPlot;\n`;
}

function compile(project, outDir) {
  const tsc = join(root, 'node_modules', '.bin', 'tsc');
  const { status, stdout, error } = spawnSync(tsc, ['-p', project, '--outDir', outDir], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (error) throw error;
  if (status !== 0) throw new Error(stdout.trim());
}

/** Replaces the entries, which then share files in `chunks/`; what is imported when it is needed stays a file of its own. */
async function bundle(outDir) {
  // Not at the top: this file is read before the packages are installed.
  const { rolldown } = await import('rolldown');
  const bundled = await rolldown({
    input: Object.fromEntries(
      ENTRIES.map((name) => [name, join(src, `${name}.ts`)]).filter(([, file]) => existsSync(file)),
    ),
    platform: 'node',
    external: /^[^./]/,
    plugins: [{ name: 'urls', transform: withUrlOfModule, renderChunk: withUrlsBeside }],
  });
  await bundled.write({ dir: outDir, entryFileNames: '[name].js', chunkFileNames: 'chunks/[name].js' });
  await bundled.close();
}

/** A module finds the files beside it by its URL, which stays that of its own file, wherever its code goes. */
function withUrlOfModule(code, id) {
  const name = relative(src, id).replace(/\.ts$/, '.js');
  return code.replaceAll('import.meta.url', `new URL('of-module:${name}', import.meta.url).href`);
}

function withUrlsBeside(code, { fileName }) {
  return code.replaceAll(/of-module:([\w./-]+)/g, (_, name) => relative(dirname(fileName), name));
}

/** One hash over the names and contents of all that decides what dist/ holds. */
function fingerprint() {
  const sources = readdirSync(src, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  const hash = createHash('sha256');
  for (const file of [import.meta.filename, join(root, 'tsconfig.json'), ...sources]) {
    hash.update(`${file.slice(root.length)}\0`);
    hash.update(readFileSync(file));
  }
  return hash.digest('hex');
}

if (realpathSync(process.argv[1]) === import.meta.filename) {
  try {
    await build();
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
