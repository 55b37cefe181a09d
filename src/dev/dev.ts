// `popfleet dev`: server and worker over a Redis of their own, which load the task modules anew when a file changes. No task is lost
// by that: the worker before ends in order, and what it runs it finishes or gives back.

import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { relative, resolve, sep } from 'node:path';
import { watch } from 'chokidar';
import { type Config, readConfig } from '../config/config.ts';
import { createEmbeddedRedis } from '../embedded/embedded-redis.ts';
import { createEnding } from '../ending.ts';
import { createSerial, delay, retryDelayMs, type Service, within } from '../lifecycle.ts';
import { createLog, type Log, logDestination } from '../log.ts';
import { PopfleetError } from '../protocol/errors.ts';
import { EXIT_CONFIG, reportFault } from '../report-fault.ts';
import { type RoleProcess, startRoleProcess } from '../role-process.ts';

/** Where a task module is looked for when none is named. */
const USUAL_MODULES = ['tasks.ts', 'tasks.mts', 'tasks.js', 'tasks.mjs', 'src/tasks.ts', 'src/tasks.js'];
/** Variables, unless they are set. The web application that is told of ends runs on this machine too. */
const DEFAULTS = { LOG_FORMAT: 'pretty', DRAIN_MS: '0', WEBHOOK_ALLOW: 'localhost,127.0.0.1,::1' };
const SOURCE = /\.(?:[cm]?[jt]s|json)$/;
/** An editor may write a file in several steps, and several files at once. */
const SETTLES_MS = 100;
const RESTART_FIRST_MS = 1_000;
const RESTART_CAP_MS = 10_000;
/** Longer than the grace of a role, in milliseconds. */
const STOP_MARGIN_MS = 15_000;

/**
 * Runs until a signal ends it.
 * @param env variables; the command line has put its options into them
 * @returns the exit code
 */
export async function runDev(env: Readonly<Record<string, string | undefined>>): Promise<number> {
  try {
    const variables = { ...DEFAULTS, ...env, TASKS: env['TASKS'] || usualModule() };
    return await develop(variables, readConfig({ ...variables, APP_TYPE: 'all' }, availableParallelism()));
  } catch (error) {
    return reportFault(error);
  }
}

/** @throws PopfleetError `bad-config` when there is none */
function usualModule(): string {
  const found = USUAL_MODULES.find((path) => existsSync(path));
  if (found !== undefined) return `./${found}`;
  throw new PopfleetError(
    'bad-config',
    `there is no task module here: name one with --tasks, or make one with popfleet init (${USUAL_MODULES.join(', ')} are found by themselves)`,
  );
}

async function develop(variables: NodeJS.ProcessEnv, config: Config): Promise<number> {
  const log = createLog(config.logLevel, { role: 'dev' }, logDestination(config.logFormat));
  const ending = createEnding({ log, stopWithinMs: config.shutdownGraceMs + STOP_MARGIN_MS });
  const redis = config.redisUrl === undefined ? createEmbeddedRedis(config.dataDir, log) : undefined;
  await redis?.start();
  const fleet = createFleet({ ...variables, REDIS_URL: config.redisUrl ?? redis?.socket }, log, ending.fail);
  const watcher = watchSources(config.dataDir, (file) => {
    log.info({ file }, 'a file has changed: loading the task modules anew');
    fleet.reload();
  });
  fleet.reload();
  await ending.asked;
  await watcher.close();
  await within(fleet.stop(), config.shutdownGraceMs + STOP_MARGIN_MS);
  await redis?.stop();
  return ending.exitCode();
}

/** Calls `onChange` a moment after sources below this folder have changed, but for packages and hidden folders. */
function watchSources(dataDir: string, onChange: (file: string) => void): { close(): Promise<void> } {
  const root = process.cwd();
  const data = resolve(dataDir);
  let timer: NodeJS.Timeout | undefined;
  const watcher = watch(root, {
    ignoreInitial: true,
    ignored: (path) =>
      path === data ||
      relative(root, path)
        .split(sep)
        .some((part) => part === 'node_modules' || (part.startsWith('.') && part !== '..')),
  });
  watcher.on('all', (_, path) => {
    if (!SOURCE.test(path)) return;
    clearTimeout(timer);
    timer = setTimeout(() => onChange(relative(root, path)), SETTLES_MS);
  });
  return {
    close: () => {
      clearTimeout(timer);
      return watcher.close();
    },
  };
}

interface Fleet extends Pick<Service, 'stop'> {
  /** Replaces server and worker by ones that load the modules as they are now. When these cannot be loaded, those before go on. */
  reload(): void;
}

/** @param fail ends the program: what keeps the server from its first start is in no file that is watched, such as a port that is taken */
function createFleet(variables: NodeJS.ProcessEnv, log: Log, fail: () => void): Fleet {
  const oneAtATime = createSerial();
  /** All that have not ended, those that are being replaced included. */
  const alive = new Set<RoleProcess>();
  const current: { server?: RoleProcess; worker?: RoleProcess } = {};
  let port = variables['PORT'];
  let wasUp = false;
  let failures = 0;
  const stopping = new AbortController();

  function start(role: 'server' | 'worker'): RoleProcess {
    const one = startRoleProcess({
      ...variables,
      ...(port === undefined ? {} : { PORT: port }),
      APP_TYPE: role,
    });
    alive.add(one);
    void one.ended.then((code) => {
      alive.delete(one);
      if (current[role] === one && !stopping.signal.aborted) void restart(role, code);
    });
    return one;
  }

  /** A role that was up has ended by itself. */
  async function restart(role: 'server' | 'worker', code: number | null): Promise<void> {
    delete current[role];
    failures += 1;
    log.error({ role, code }, 'it has ended by itself and is started again');
    await delay(retryDelayMs(failures, RESTART_FIRST_MS, RESTART_CAP_MS), stopping.signal);
    reload();
  }

  async function replaceWorker(): Promise<boolean> {
    const next = start('worker');
    const up = await next.up;
    if ('exitCode' in up) {
      if (!stopping.signal.aborted) {
        log.warn(current.worker ? 'the modules before go on until this is mended' : 'waiting for a change');
      }
      return false;
    }
    current.worker?.stop();
    current.worker = next;
    return true;
  }

  /** The port is free once the server before has closed it, which is long before the next one has loaded. */
  async function replaceServer(): Promise<void> {
    const before = current.server;
    delete current.server;
    before?.stop();
    let next = start('server');
    let up = await next.up;
    if ('exitCode' in up && up.exitCode !== EXIT_CONFIG && before && !stopping.signal.aborted) {
      await before.ended;
      next = start('server');
      up = await next.up;
    }
    if ('exitCode' in up) {
      if (stopping.signal.aborted) return;
      if (wasUp) log.warn('the server waits for a change');
      else fail();
      return;
    }
    current.server = next;
    failures = 0;
    if (wasUp || up.url === undefined) return;
    wasUp = true;
    // A port that was chosen freely is that of each server after this one.
    port = new URL(up.url).port;
    greet(up.url);
  }

  function reload(): void {
    void oneAtATime(async () => {
      if (stopping.signal.aborted) return;
      if (await replaceWorker()) await replaceServer();
    });
  }

  return {
    reload,
    async stop() {
      stopping.abort();
      for (const one of alive) one.stop();
      await Promise.all([...alive].map(({ ended }) => ended));
    },
  };
}

function greet(url: string): void {
  process.stderr.write(
    `\npopfleet dev is up: ${url}\n  dashboard ${url}/ui/   API ${url}/docs\n  A change of a file loads the task modules anew. Ctrl-C ends it.\n\n`,
  );
}
