// Imports a module of the user, and reports why it cannot be loaded, with file and line.

import { execFile } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { PopfleetError } from '../protocol/errors.ts';
import { importTypeScript, isTypeScript } from './import-typescript.ts';

/** Milliseconds after which a module that still loads is named on stderr, once; loading goes on. */
const STILL_LOADING_MS = 10_000;
const PARSE_WITHIN_MS = 10_000;
const STACK_LINES = 10;
const ENDINGS = ['.mjs', '.js', '.cjs', '.ts', '.mts', '.cts'];
/** What Node and jiti say of an import of this package that is not there: ES modules do not find packages that are installed globally. */
const NO_POPFLEET = /^Cannot find (?:package|module) 'popfleet(?:\/[^']*)?'.*/;
const GUESSED_ENDINGS = [...ENDINGS, ...ENDINGS.map((ending) => `/index${ending}`)];
/** Folder of this package, whose lines are removed from stacks: they are of no use to a user. */
const OWN_URL = new URL('..', import.meta.url).href;
const OWN_PATH = fileURLToPath(OWN_URL);

/**
 * @param module path relative to `baseDir`, or absolute
 * @returns its namespace
 * @throws PopfleetError `bad-definition`; its message has the reason in its first line, then the place in the source and the
 *   stack within the user's files, as far as they are known
 */
export async function importModule(
  module: string,
  baseDir: string,
  stillLoadingMs = STILL_LOADING_MS,
): Promise<Readonly<Record<string, unknown>>> {
  const path = resolve(baseDir, module);
  const url = pathToFileURL(path).href;
  const slow = setTimeout(() => {
    process.stderr.write(`popfleet: still loading ${module} after ${stillLoadingMs / 1_000} s\n`);
  }, stillLoadingMs);
  // The timer must not keep a process alive that has nothing else to wait for: see `unsettled`.
  slow.unref();
  const unsettled = createUnsettled();
  try {
    const loaded = isTypeScript(path) ? importTypeScript(path) : import(url);
    return (await Promise.race([loaded, unsettled.promise])) as Readonly<Record<string, unknown>>;
  } catch (error) {
    const reason = error === UNSETTLED ? UNSETTLED_REASON : await describe(error, path, url);
    throw new PopfleetError('bad-definition', `cannot load the task module ${module}: ${reason}`, {
      cause: error,
    });
  } finally {
    clearTimeout(slow);
    unsettled.forget();
  }
}

const UNSETTLED = Symbol('unsettled');
const UNSETTLED_REASON =
  'its top-level await waits for a promise that nothing can settle any more (no timer, socket or process is open)';

/**
 * Node ends a process silently (exit code 13) when nothing is left that could end a top-level await.
 * @returns a promise that rejects with `UNSETTLED` then
 */
function createUnsettled(): { readonly promise: Promise<never>; readonly forget: () => void } {
  let onBeforeExit = (): void => undefined;
  const promise = new Promise<never>((_, reject) => {
    onBeforeExit = () => reject(UNSETTLED);
  });
  process.once('beforeExit', onBeforeExit);
  return { promise, forget: () => void process.off('beforeExit', onBeforeExit) };
}

async function describe(thrown: unknown, path: string, url: string): Promise<string> {
  if (!(thrown instanceof Error)) return `it threw ${inspect(thrown, { depth: 1 })}`;
  const { code } = thrown as NodeJS.ErrnoException;
  if (code?.endsWith('MODULE_NOT_FOUND') && !existsSync(path))
    return `there is no file ${path}${guess(path)}`;
  if (code === 'ERR_UNSUPPORTED_DIR_IMPORT' && statSync(path).isDirectory()) {
    return `${path} is a folder: name a file${guess(path)}`;
  }
  const isNamed = thrown.name !== 'Error' && thrown.name !== 'PopfleetError';
  const message = thrown.message.replace(
    NO_POPFLEET,
    '$&; install it beside the module: npm install popfleet',
  );
  const reason = isNamed ? `${thrown.name}: ${message}` : message;
  const frame = frameOf(thrown) ?? (thrown instanceof SyntaxError ? await parseAlone(url) : undefined);
  return [reason, frame, ...userLines(thrown)].filter((part) => part !== undefined).join('\n');
}

function guess(path: string): string {
  const ending = GUESSED_ENDINGS.find((one) => existsSync(path + one));
  return ending === undefined ? '' : ` (there is ${path}${ending})`;
}

/** The file, line and source that Node puts in front of the stack of a syntax error, but not for ES modules. */
function frameOf({ stack = '', name }: Error): string | undefined {
  const frame = stack.slice(0, Math.max(0, stack.indexOf(`${name}: `))).trimEnd();
  return frame.includes('\n') ? frame : undefined;
}

/**
 * Imports the module in another process, because Node prints the place of a syntax error in an ES module only when the error
 * ends the process. All files of the import are parsed before the first one runs, so no code of the module runs there.
 */
function parseAlone(url: string): Promise<string | undefined> {
  const args = ['--input-type=module', '--eval', `import ${JSON.stringify(url)}`];
  return new Promise((done) => {
    execFile(process.execPath, args, { timeout: PARSE_WITHIN_MS }, (_, __, stderr) => {
      const end = stderr.search(/^\s*SyntaxError: /m);
      done(end > 0 ? stderr.slice(0, end).trimEnd() : undefined);
    });
  });
}

/** The lines from the first that is not of this package to the one in which this package imported the module. */
function userLines({ stack = '' }: Error): readonly string[] {
  const lines = stack.split('\n').filter((line) => /^\s+at /.test(line) && !/[( ]node:/.test(line));
  const isOwn = (line: string): boolean => line.includes(OWN_URL) || line.includes(OWN_PATH);
  const from = lines.findIndex((line) => !isOwn(line));
  const until = lines.findIndex((line, at) => at > from && isOwn(line));
  return lines.slice(Math.max(0, from), until < 0 ? undefined : until).slice(0, STACK_LINES);
}
