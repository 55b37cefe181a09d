// Scripts that watch themselves: each call of Redis in them fails when it touches a key that the script has not declared, and
// notes that it was reached.

import { readdirSync, readFileSync } from 'node:fs';
import type { Redis } from 'ioredis';
import type { ScriptSource } from '../../src/store/resolve-names.ts';
import type { ScriptName } from '../../src/store/scripts.ts';

type Scripts = Record<ScriptName, ScriptSource>;

/** Hashes in which scripts note: by site how often it was reached, and by script and key how often it was touched. */
const SITES_KEY = 'test:sites';
const TOUCHED_KEY = 'test:touched';

const LUA = new URL('../../src/store/lua/', import.meta.url);
/** A call in a script, but for those that tests have put there for themselves. */
const CALL = /redis\.(p?call)\((?!'\w+', 'test:)|(?<!function )Q\.(call_sliced)\(/g;

/** The file of each part, by its first line: all of them begin with a comment of their own. */
const PARTS: ReadonlyMap<string, string> = new Map(
  readdirSync(LUA, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.lua'))
    .map((file) => [luaOf(file).split('\n', 1)[0] ?? '', file]),
);

/** A call of Redis in a script. */
interface Site {
  readonly script: ScriptName;
  /** `<script> <file>:<line>`, and its number on that line when it is not the first. */
  readonly name: string;
  /** From the call to the end of its line. */
  readonly text: string;
}

export interface CheckedScripts {
  readonly scripts: Scripts;
  /** All call sites of each script, but for those in functions that it never calls. */
  readonly sites: readonly Site[];
}

/** Text of a part, by its path within the folder of scripts. */
export function luaOf(file: string): string {
  return readFileSync(new URL(file, LUA), 'utf8');
}

export function luaFiles(): readonly string[] {
  return [...PARTS.values()];
}

/** Rewrites every script. A call that touches an undeclared key fails with an error that begins with `UNDECLARED`. */
export function checkScripts(sources: Scripts): CheckedScripts {
  const sites: Site[] = [];
  const scripts = Object.entries(sources).map(([name, { lua, keys }]) => {
    const lines = linesOf(lua);
    const called = calledLines(lines);
    const written = lines.map((line, at) => {
      let number = 0;
      if (/^\s*--/.test(line.text)) return line.text;
      return line.text.replace(CALL, (_, plain: string | undefined, sliced: string, column: number) => {
        number += 1;
        const site = `${name} ${line.file}:${line.number}${number > 1 ? ` (${number})` : ''}`;
        const text = withNames(line.text.slice(column), keys);
        if (called.has(at)) sites.push({ script: name as ScriptName, name: site, text });
        return `T.${plain ?? sliced}('${site}', `;
      });
    });
    const opening = lines.findIndex(({ text }) => text.startsWith('local Q = '));
    if (opening < 0) throw new Error('the scripts begin in another way now');
    written.splice(opening + 1, 0, preludeOf(name));
    return [name, { lua: written.join('\n'), keys }];
  });
  return { scripts: Object.fromEntries(scripts) as Scripts, sites };
}

/** As the file of the script writes it: `Q.LAST_ERRORS` where its key stands. */
function withNames(text: string, keys: readonly string[]): string {
  return text.replaceAll(
    /KEYS\[(\d+)\]/g,
    (_, number: string) => `Q.${(keys[Number(number) - 1] ?? '').toUpperCase().replaceAll('-', '_')}`,
  );
}

/** Redis itself is asked which arguments of a call are keys. */
function preludeOf(script: string): string {
  return `
local T, declared, noted = {}, {}, {}
for _, key in ipairs(KEYS) do declared[key] = true end
function T.check(site, key, command)
  local touched = '${script} ' .. string.gsub(key, '^.*}:', '')
  if not noted[touched] then redis.call('HINCRBY', '${TOUCHED_KEY}', touched, 1) end
  noted[touched] = true
  if not declared[key] then error({ err = 'UNDECLARED ' .. site .. ' ' .. command .. ' ' .. key }) end
end
function T.look(site, command, ...)
  if not noted[site] then redis.call('HINCRBY', '${SITES_KEY}', site, 1) end
  noted[site] = true
  if select('#', ...) == 0 then return end
  local keys = redis.pcall('COMMAND', 'GETKEYS', command, ...)
  if keys.err and string.find(keys.err, 'no key arguments', 1, true) then return end
  if keys.err then error({ err = 'UNREADABLE ' .. site .. ' ' .. command .. ' ' .. keys.err }) end
  for _, key in ipairs(keys) do T.check(site, key, command) end
end
function T.call(site, ...) T.look(site, ...) return redis.call(...) end
function T.pcall(site, ...) T.look(site, ...) return redis.pcall(...) end
function T.call_sliced(site, command, key, arguments)
  if #arguments > 0 then T.look(site, command, key, unpack(arguments, 1, math.min(2, #arguments))) else T.check(site, key, command) end
  return Q.call_sliced(command, key, arguments)
end`;
}

interface Line {
  readonly text: string;
  readonly file: string;
  /** Within the file, from 1. */
  readonly number: number;
}

function linesOf(lua: string): readonly Line[] {
  let file = 'opening';
  let number = 0;
  return lua.split('\n').map((text) => {
    const begun = PARTS.get(text);
    if (begun !== undefined) [file, number] = [begun, 0];
    number += 1;
    return { text, file, number };
  });
}

/** Those outside of functions, and those of functions that are called from there, through however many others. */
function calledLines(lines: readonly Line[]): ReadonlySet<number> {
  const functions: { readonly name: string; readonly file: string; readonly at: number[] }[] = [];
  const called = new Set<number>();
  let open: (typeof functions)[number] | undefined;
  for (const [at, { text, file }] of lines.entries()) {
    const [, local, name = ''] = /^(local )?function ([\w.]+)\(/.exec(text) ?? [];
    if (name !== '') {
      // The script picks an outcome by the word of it.
      const known = name.replace(/^Q\.outcomes\.\w+$/, 'Q.outcomes');
      open = { name: known, file: local === undefined ? '' : file, at: [] };
      functions.push(open);
    }
    if (open) open.at.push(at);
    else called.add(at);
    if (text === 'end' || (name !== '' && /\bend$/.test(text))) open = undefined;
  }
  for (let left = functions, before = -1; left.length !== before; ) {
    before = left.length;
    const isCalled = ({ name, file }: (typeof functions)[number]): boolean => {
      const mention = new RegExp(`(?<![\\w.])${name.replaceAll('.', '\\.')}(?!\\w)`);
      return [...called].some((at) => {
        const line = lines[at];
        return line && (file === '' || line.file === file) && mention.test(line.text);
      });
    };
    const found = left.filter(isCalled);
    left = left.filter((one) => !found.includes(one));
    for (const { at } of found) for (const one of at) called.add(one);
  }
  return called;
}

export interface Notes {
  /** Names of sites that were reached. */
  sites(): Promise<ReadonlySet<string>>;
  /** Keys that were touched: `<script> <key>`. */
  touched(): Promise<ReadonlySet<string>>;
}

/** Keeps what the scripts note, also when a test empties the Redis through this client. */
export function keepNotes(client: Redis): Notes {
  const kept = { [SITES_KEY]: new Set<string>(), [TOUCHED_KEY]: new Set<string>() };
  async function read(key: keyof typeof kept): Promise<ReadonlySet<string>> {
    for (const name of await client.hkeys(key)) kept[key].add(name);
    return kept[key];
  }
  const flush: () => Promise<'OK'> = client.flushall.bind(client);
  client.flushall = async (): Promise<'OK'> => {
    await read(SITES_KEY);
    await read(TOUCHED_KEY);
    return flush();
  };
  return { sites: () => read(SITES_KEY), touched: () => read(TOUCHED_KEY) };
}

/**
 * The same script without some of its declared keys: it makes their names itself, from that of another one, as scripts must not.
 * @throws Error when it would be left without any key
 */
export function withoutKeys({ lua, keys }: ScriptSource, isLeft: (key: string) => boolean): ScriptSource {
  const left = keys.filter(isLeft);
  if (left.length === 0) throw new Error('a script needs one key of its place');
  const written = lua.replaceAll(/KEYS\[(\d+)\]/g, (_, number: string) => {
    const key = keys[Number(number) - 1] ?? '';
    return left.includes(key)
      ? `KEYS[${left.indexOf(key) + 1}]`
      : `(string.gsub(KEYS[1], '}:.*', '}:${key}'))`;
  });
  return { lua: written, keys: left };
}
