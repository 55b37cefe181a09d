// node scripts/bench/stages.mjs [--tasks 500]: where the time goes between the call that sends one task and the first line of its handler
// in an idle worker, as medians in microseconds.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { HERE, ROOT, start, temporaryFolder } from './processes.mjs';
import { startRedis } from './redis.mjs';
import { median } from './stats.mjs';
import { markdownTable } from './table.mjs';

const { values } = parseArgs({ options: { tasks: { type: 'string', default: '500' } } });
const TASKS = Number(values.tasks);
const WARM_UP = 50;
/** Scripts take longer than this, in microseconds, and none of their commands does. */
const SCRIPTS_FROM_US = '60';

const fixture = (name) => join(HERE, 'fixtures', name);
const folder = temporaryFolder();
const redis = await startRedis({ aof: false });
const observer = new Redis(redis.port, '127.0.0.1');

/** Starts a program whose notes are read once it has ended. */
function startNoted(name, program, args, env) {
  const notes = join(folder, name);
  const child = start(process.execPath, ['--import', fixture('note-sockets.mjs'), program, ...args], {
    REDIS_URL: `redis://127.0.0.1:${redis.port}`,
    TASKS: fixture('staged-task.mjs'),
    LOG_LEVEL: 'silent',
    BENCH_NOTES: notes,
    ...env,
  });
  const ended = once(child, 'exit');
  return {
    child,
    async read() {
      await ended;
      return JSON.parse(readFileSync(notes, 'utf8'));
    },
  };
}

await observer.config('SET', 'slowlog-max-len', '100000', 'slowlog-log-slower-than', SCRIPTS_FROM_US);
const worker = startNoted('worker', join(ROOT, 'dist', 'cli.js'), ['worker'], { THREADS: '1' });
const sent = await startNoted('sender', fixture('send-staged.mjs'), [], {
  BENCH_TASKS: String(WARM_UP + TASKS),
}).read();
worker.child.kill('SIGTERM');
const ran = await worker.read();

/** The times of one kind of note, in their order. */
const timesOf = (notes, what) => notes.filter(([noted]) => noted === what).map(([, at]) => at);
const after = (times, from) => times.find((at) => at > from) ?? Number.NaN;

const calls = timesOf(sent, 'call').slice(WARM_UP);
const [writes, reads, tells, begins] = [
  timesOf(sent, 'write'),
  timesOf(ran, 'read'),
  timesOf(ran, 'write'),
  timesOf(ran, 'handler'),
];
const stages = calls.map((called) => {
  const written = after(writes, called);
  const heard = after(reads, written);
  return { called, written, heard, told: after(tells, heard), begun: after(begins, heard) };
});
/** Between two points of each task, in microseconds. */
const between = (from, to) =>
  (median(stages.map((stage) => stage[to] - stage[from]).filter(Number.isFinite)) / 1_000).toFixed(0);
const scripts = (await observer.slowlog('GET', 100_000))
  .filter(([, , , [command], , name]) => command.startsWith('eval') && name.includes('library'))
  .map(([, , us]) => us);
console.log(
  markdownTable(
    ['from', 'to', 'µs'],
    [
      ['the call', 'it is written to the socket', between('called', 'written')],
      ['written', 'the worker has read the task', between('written', 'heard')],
      ['', 'of these the script, by Redis', String(median(scripts))],
      ['read', 'the worker has written that it has the task', between('heard', 'told')],
      ['written', 'the first line of the handler', between('told', 'begun')],
      ['the call', 'the first line of the handler', between('called', 'begun')],
    ],
  ),
);
process.exit(0);
