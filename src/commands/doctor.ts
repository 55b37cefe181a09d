// `popfleet doctor`: looks at everything that may be wrong, and says of each what to do.

import type { Command } from 'commander';
import { ApiError } from '../client/api-error.ts';
import { VERSION } from '../version.ts';
import { EXIT } from './exit-code.ts';
import { type Check, findingsOfQueue, findingsOfWorkers, readinessFinding } from './fleet-health.ts';
import type { Column, Style } from './printer.ts';
import { checkRedis } from './redis-checks.ts';
import type { Terminal } from './terminal.ts';
import { describeVerb, type Session } from './verb.ts';

const TEXTS = {
  usage: 'doctor',
  description:
    'Look at server, key, queues and workers, and at Redis itself when REDIS_URL is set; each line that is not ✓ says what to do',
  examples: ['popfleet doctor', 'popfleet doctor --json', 'REDIS_URL=redis://127.0.0.1:6379 popfleet doctor'],
};

const MARKS: Readonly<Record<Check['level'], string>> = { ok: '✓', warn: '▲', bad: '✕' };
const STYLES: Readonly<Record<Check['level'], Style>> = { ok: 'green', warn: 'yellow', bad: 'red' };
const SLOW_MS = 500;

/** Of a line in a pipe. */
const COLUMNS: readonly Column<Check>[] = [
  { title: 'LEVEL', text: ({ level }) => level },
  { title: 'WHAT', text: ({ name }) => name },
  { title: 'TEXT', text: ({ text }) => text },
  { title: 'FIX', text: ({ fix }) => fix },
];

export function addDoctorVerb(doctor: Command, terminal: Terminal): void {
  describeVerb(doctor, terminal, TEXTS, async (session, _args, options) => {
    const { printer } = session;
    const redisUrl = (options['redisUrl'] as string | undefined) ?? terminal.env['REDIS_URL'];
    const checks: Check[] = [];
    for await (const check of checkAll(session, redisUrl, terminal.env)) {
      checks.push(check);
      if (!printer.json) print(session, check);
    }
    if (printer.json) printer.document({ checks });
    return checks.some(({ level }) => level === 'bad') ? EXIT.failed : EXIT.ok;
  }).option('--redis-url <url>', 'Redis to look at directly (REDIS_URL)');
}

async function* checkAll(
  session: Session,
  redisUrl: string | undefined,
  env: Terminal['env'],
): AsyncGenerator<Check, void, void> {
  if (redisUrl !== undefined && redisUrl !== '') yield* await checkRedis(redisUrl, env);
  const server = await checkServer(session);
  yield server;
  if (server.level === 'bad') return;
  for (const look of [checkKey, checkQueues, checkWorkers]) {
    try {
      yield* await look(session);
    } catch (error) {
      session.signal.throwIfAborted();
      if (!(error instanceof ApiError)) throw error;
      yield { name: 'api', level: 'bad', text: error.message, fix: 'see the log of the server' };
    }
  }
}

async function checkServer({ client, connection, signal }: Session): Promise<Check> {
  const startedAt = performance.now();
  try {
    const notReady = readinessFinding(await client.fleet.readiness({ signal }));
    if (notReady) return { name: 'server', ...notReady };
    const ms = Math.round(performance.now() - startedAt);
    const text = `${connection.url.value} takes tasks; it answered in ${ms} ms`;
    if (ms < SLOW_MS) return { name: 'server', level: 'ok', text };
    return { name: 'server', level: 'warn', text, fix: 'is it, or the network, busy? Add servers' };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof ApiError)) throw error;
    const fix = `start one (popfleet all), or name another: the address is from ${connection.url.from}`;
    return { name: 'server', level: 'bad', text: error.message, fix };
  }
}

async function checkKey({ client, connection, signal }: Session): Promise<Check[]> {
  try {
    const { key, scopes, queues } = await client.fleet.caller({ signal });
    const where = queues ? ` in ${queues.join(', ')}` : '';
    const text =
      key === undefined
        ? 'the server asks for none'
        : `${key} from ${connection.key?.from} may ${scopes.join(', ')}${where}`;
    return [{ name: 'key', level: 'ok', text }];
  } catch (error) {
    if (!(error instanceof ApiError) || (error.status !== 401 && error.status !== 403)) throw error;
    const text = connection.key
      ? `the key from ${connection.key.from} is refused`
      : 'the server asks for a key';
    return [
      {
        name: 'key',
        level: 'bad',
        text,
        fix: 'set POPFLEET_KEY to one whose entry is in API_KEYS of the server',
      },
    ];
  }
}

async function checkQueues({ client, signal }: Session): Promise<Check[]> {
  const queues = await client.queues.list({ signal });
  return queues.flatMap((queue): Check[] => {
    const findings = findingsOfQueue(queue);
    const text = `${queue.queue}: ${queue.counts['accepted'] ?? 0} accepted, all accounted for`;
    if (findings.length === 0) return [{ name: 'queue', level: 'ok', text }];
    return findings.map(({ level, text: what, fix }) => ({ name: 'queue', level, text: what, fix }));
  });
}

async function checkWorkers({ client, signal }: Session): Promise<Check[]> {
  const workers = await client.fleet.workers({ signal });
  const names = new Set(workers.map(({ worker }) => worker));
  if (names.size === 0) {
    return [{ name: 'workers', level: 'warn', text: 'no worker is alive', fix: 'popfleet worker' }];
  }
  const findings = findingsOfWorkers(workers, VERSION);
  const text = `${names.size} alive, of the release ${VERSION}`;
  if (findings.length === 0) return [{ name: 'workers', level: 'ok', text }];
  return findings.map(({ level, text: what, fix }) => ({ name: 'workers', level, text: what, fix }));
}

function print({ printer }: Session, { name, level, text, fix }: Check): void {
  if (!printer.isTerminal) {
    printer.table(COLUMNS, [{ name, level, text, ...(fix === undefined ? {} : { fix }) }]);
    return;
  }
  printer.line(`${MARKS[level]} ${name.padEnd(8)} ${text}`, STYLES[level]);
  if (fix !== undefined) printer.line(`           → ${fix}`);
}
