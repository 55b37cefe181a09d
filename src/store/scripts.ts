// The Lua scripts: each is put together from the tables that TypeScript owns, the parts it needs, and a file of its own.

import { readFileSync } from 'node:fs';
import type { Redis } from 'ioredis';
import { type Place, prefixOf } from './keys.ts';
import { resolveNames, type ScriptSource } from './resolve-names.ts';
import { CallableScript, callScript, type ScriptArgument } from './script-call.ts';

/** How a run may end: a file each, which finish.lua calls by this word. */
export const OUTCOMES = [
  'succeeded',
  'failed',
  'snoozed',
  'suspended',
  'released',
  'unbegun',
  'dead',
  'cancelled',
  'crashed',
] as const;

/** What a claim asks of a ready task before it takes it, in this order (`is_held_back` in lib/take.lua). */
const GUARDS = ['expiry'];

/** What a sweep does, in this order. */
const DUTIES = [
  'due',
  'hands',
  'lost-workers',
  'spent',
  'lost-pops',
  'unstarted',
  'kept',
  'old',
  'excess',
  'idempotency',
  'outbox',
  'marks',
  'needs',
  'waits',
  'workflows',
  'batches',
  'error-groups',
  'ticks',
  'plans',
  'operations',
  'series',
];

/** What a person does to a task, or an operation to many: a file each. */
const ACTS = ['cancel', 'retry', 'delete', 'move'];

/** Parts that scripts have in common. Each call makes their functions anew, so no script has more than it needs. */
const ARGS = ['lib/args'];
const LOOKS = [...ARGS, 'lib/clock', 'lib/protocol'];
const QUEUE = [...LOOKS, 'lib/begin'];
const ROWS = [...QUEUE, 'lib/header', 'lib/row'];
const MOVES = [...ROWS, 'lib/event', 'lib/move', 'lib/push'];
/** Tasks that are ready go straight to idle workers: `accept_gathered` calls it where it is there. */
const HAND_OVER = ['lib/hand-over', 'open_share_out'];
const AWAITED = ['open_told', 'lib/awaited'];
const OFFERS = ['lib/hands', 'lib/offers'];
const ACCEPT = [
  ...MOVES,
  'lib/accept',
  'lib/standstill',
  'lib/followed',
  'lib/terms',
  'lib/start',
  'lib/extras',
];
const FLOWS = ['lib/steps', 'lib/outbox', 'lib/workflows'];
const BATCHES = ['lib/event', 'lib/steps', 'lib/outbox', 'lib/batches', 'lib/batch-ends'];
const ENDED = ['lib/steps', 'lib/outbox', 'lib/ended'];
const ENDING = ['lib/log-chunks', ...ENDED, 'lib/end'];
const END = [...MOVES, ...ENDING];
const DIE = ['lib/terms', 'lib/error-groups'];
const GUARDED = GUARDS.map((name) => `guards/${name}`);
const WORKER = ['lib/holds', 'open_offers', 'lib/worker'];
const TAKE = [...MOVES, 'lib/accept', ...WORKER, ...GUARDED, 'lib/take'];
const REMOVE = ['lib/log', 'lib/unindex', 'lib/pinned', 'lib/remove'];
const ACT = [...END, ...REMOVE];

/** Parts inside a function that makes them: most calls find nobody to hand tasks to, nobody who waits, and come from workers that have nothing to offer. */
const OPENED: Readonly<Record<string, readonly string[]>> = {
  open_share_out: [...GUARDED, 'lib/holds', 'lib/hands', 'lib/share-out'],
  open_offers: OFFERS,
  open_told: ['lib/told'],
};

/** Each script with the parts that go before its own file, in their order. */
const SCRIPTS = {
  read: ARGS,
  await: [...LOOKS, 'lib/header'],
  scan: ARGS,
  snapshot: ARGS,
  probe: ARGS,
  rows: [...ARGS, 'lib/header'],
  page: [...ARGS, 'lib/rank'],
  search: ARGS,
  group: [...LOOKS, 'lib/ignored'],
  ignored: [...LOOKS, 'lib/ignored'],
  ignore: QUEUE,
  enqueue: ACCEPT,
  hand: [...ACCEPT, ...HAND_OVER],
  wait: [...ACCEPT, 'lib/needed', 'lib/needs', 'lib/steps'],
  settle: [...END, ...DIE, 'lib/start'],
  needs: [...ARGS, 'lib/needs-of'],
  step: [...ACT, 'acts/cancel'],
  rewait: [...MOVES, 'lib/unindex', 'lib/steps', 'lib/pinned', 'acts/retry'],
  'workflow-open': [...ROWS, 'lib/followed', 'lib/workflows', 'lib/workflow-record'],
  workflow: [...ROWS, 'lib/event', ...FLOWS],
  'batch-open': [...ROWS, 'lib/followed', ...BATCHES],
  batch: [...ROWS, ...BATCHES],
  void: QUEUE,
  claim: TAKE,
  source: [...ROWS, 'lib/needed', 'lib/followed'],
  complete: [...MOVES, 'lib/waits'],
  finish: [...TAKE, ...ENDED, ...AWAITED, 'lib/successes'],
  'finish-any': [
    ...TAKE,
    ...ENDING,
    ...DIE,
    ...AWAITED,
    'lib/successes',
    'lib/attempts',
    'lib/needed',
    'lib/waits',
    'lib/other-outcomes',
    ...OUTCOMES.map((word) => `outcomes/${word}`),
  ],
  beat: [...ROWS, ...OFFERS, 'lib/worker', 'lib/type-runs'],
  held: [...ROWS, ...OFFERS],
  leave: [...QUEUE, 'lib/worker'],
  report: [...ROWS, 'lib/event', 'lib/move', 'lib/log-chunks', 'lib/log'],
  checkpoint: ROWS,
  sweep: [
    ...END,
    ...DIE,
    ...HAND_OVER,
    'lib/holds',
    'lib/hands',
    'lib/worker',
    'lib/attempts',
    'lib/waits',
    ...REMOVE,
    'lib/plans',
    'lib/standstill',
    'lib/workflows',
    'lib/batches',
    ...DUTIES.map((name) => `sweep/${name}`),
  ],
  tick: [...ACCEPT, ...HAND_OVER, ...FLOWS, 'lib/workflow-record', 'lib/plans'],
  schedule: [...QUEUE, 'lib/plans'],
  cancel: [...ACT, 'acts/cancel'],
  retry: [
    ...MOVES,
    'lib/terms',
    'lib/unindex',
    'lib/steps',
    'lib/outbox',
    'lib/pinned',
    'lib/retried',
    'acts/retry',
  ],
  remove: [...ACT, 'acts/delete'],
  operation: [...QUEUE, 'lib/row', 'lib/event', 'lib/operation'],
  operate: [
    ...ACT,
    'lib/retried',
    ...ACTS.map((name) => `acts/${name}`),
    'lib/operation',
    'lib/rank',
    'lib/match',
  ],
  matches: [...ARGS, 'lib/header', 'lib/row', 'lib/rank', 'lib/match'],
  load: LOOKS,
  ledger: LOOKS,
  explain: [...LOOKS, 'lib/header', 'lib/row', 'lib/event', 'lib/move', 'lib/push', 'lib/needs-of'],
  pause: QUEUE,
  order: [...QUEUE, ...OFFERS],
  follow: [...ROWS, 'lib/followed', 'lib/steps', 'lib/outbox'],
  relay: [...QUEUE, 'lib/entries'],
  marks: QUEUE,
  moving: ARGS,
  arrive: [...MOVES, 'lib/accept', 'lib/followed', 'lib/terms'],
  moved: [...MOVES, 'lib/log-chunks', ...REMOVE, 'lib/entries'],
} as const satisfies Record<string, readonly string[]>;

/** Scripts that have no file of their own: they differ from another one by their parts alone. */
const SAME_FILE: Readonly<Record<string, string>> = { hand: 'enqueue', 'finish-any': 'finish' };

/** Scripts that Redis refuses at `maxmemory`: acknowledging must always work, accepting must not. */
const REFUSED_WHEN_FULL: ReadonlySet<string> = new Set([
  'enqueue',
  'hand',
  'wait',
  'rewait',
  'workflow-open',
  'batch-open',
  'report',
  'tick',
  'schedule',
  'retry',
  'arrive',
]);
export type ScriptName = keyof typeof SCRIPTS;

export interface ScriptBuild {
  /** False for Redis before 7.0, which knows no script flags. */
  readonly flags: boolean;
  /** Rewrites lib/clock.lua: tests give the scripts a clock of their own. */
  readonly patch?: (clock: string) => string;
}

export type ScriptSources = Readonly<Record<ScriptName, ScriptSource>>;

/** The scripts without a patch, by `flags`: all connections of a process have the same. */
const built = new Map<boolean, ScriptSources>();

/** Reads the `.lua` files beside this module. Each script is put together when it is asked for: a role calls a few of some fifty. */
export function buildScripts({ flags, patch }: ScriptBuild = { flags: true }): ScriptSources {
  if (patch) return joinScripts(flags, patch);
  const sources = built.get(flags) ?? joinScripts(flags, (clock) => clock);
  built.set(flags, sources);
  return sources;
}

function joinScripts(flags: boolean, patch: (clock: string) => string): ScriptSources {
  const texts = new Map<string, string>();
  const textOf = (part: string): string => {
    const opened = OPENED[part];
    if (opened) return `function Q.${part}()\n${opened.map(textOf).join('\n')}\nend`;
    const text = texts.get(part) ?? readFileSync(new URL(`lua/${part}.lua`, import.meta.url), 'utf8');
    texts.set(part, text);
    return part === 'lib/clock' ? patch(text) : text;
  };
  const sources = {};
  for (const [name, parts] of Object.entries(SCRIPTS) as [string, readonly string[]][]) {
    const header = flags ? `#!lua${REFUSED_WHEN_FULL.has(name) ? '' : ' flags=allow-oom'}\n` : '';
    // Read now: what stands there later may be of another release.
    const body = [...parts, SAME_FILE[name] ?? name].map(textOf).join('\n');
    let source: ScriptSource | undefined;
    const get = (): ScriptSource => (source ??= resolveNames(header, body));
    Object.defineProperty(sources, name, { get, enumerable: true });
  }
  return sources as ScriptSources;
}

/** More arguments than this no call has, keys included: some services that speak the protocol of Redis take no more. */
export const MOST_ARGUMENTS = 3_999;

/** Gives what calls a script, which is made at its first call. */
type Callables = (name: ScriptName) => CallableScript;

/** The scripts of each connection. */
const defined = new WeakMap<Redis, Callables>();

/** What is told how long the calls of a connection take. */
const watched = new WeakMap<Redis, (script: ScriptName, ms: number) => void>();

/** Has a function called with each script that was run over a connection, and the milliseconds until its reply, or its failure. */
export function watchScripts(client: Redis, watch: (script: ScriptName, ms: number) => void): void {
  watched.set(client, watch);
}

/** What calls the scripts of one build, whichever connections have them. */
const callable = new WeakMap<ScriptSources, Callables>();

/** Makes the scripts known to a connection; a later call replaces them. */
export function defineScripts(client: Redis, sources: ScriptSources): void {
  const callables = callable.get(sources) ?? callablesOf(sources);
  callable.set(sources, callables);
  defined.set(client, callables);
}

function callablesOf(sources: ScriptSources): Callables {
  const made = new Map<ScriptName, CallableScript>();
  return (name) => {
    const script = made.get(name) ?? new CallableScript(sources[name].lua, sources[name].keys);
    made.set(name, script);
    return script;
  };
}

/**
 * Runs one script. Every reply text comes as a Buffer, because results and messages are bytes.
 * @param onWritten called with the socket that the call goes over, once more when it is sent again
 * @throws TypeError when a call has more than `MOST_ARGUMENTS`
 */
export function runScript(
  client: Redis,
  name: ScriptName,
  place: Place,
  args: readonly ScriptArgument[],
  onWritten?: (socket: object) => void,
): Promise<unknown> {
  const script = defined.get(client)?.(name);
  if (!script) throw new TypeError('no scripts are defined on this connection');
  if (script.keys.length + args.length > MOST_ARGUMENTS) {
    throw new TypeError(
      `a call of ${name} has ${args.length} arguments, which is more than one call may have`,
    );
  }
  const watch = watched.get(client);
  if (!watch) return callScript(client, script, prefixOf(place), args, onWritten);
  const begunAt = performance.now();
  return callScript(client, script, prefixOf(place), args, onWritten).finally(() =>
    watch(name, performance.now() - begunAt),
  );
}
