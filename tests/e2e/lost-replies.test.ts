// The reply of exactly the k-th call of a command or script gets lost and its connection breaks: Redis has done it,
// the program does not know. `npm run test:lost-replies` (POPFLEET_LONG=1) loses each of the first twenty.

import { afterAll, beforeAll, expect, test, type TestContext } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { JOURNAL_TASKS, openQueueFacts } from '../support/queue-facts.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { nodeOf } from '../support/servers-of.ts';
import { type RoleHere, startHere, stopHere } from '../support/start-here.ts';
import { openStage } from '../support/stage.ts';

const LARGEST_K = process.env['POPFLEET_LONG'] === '1' ? 20 : 2;
const CALLS = ['BRPOP', 'enqueue', 'hand', 'claim', 'finish', 'beat', 'sweep'] as const;
/** A server offers to hand tasks over once, and learns from the answer that no worker of a cluster takes any. */
const LARGEST_HAND = process.env['POPFLEET_TOPOLOGY'] === 'cluster' ? 1 : LARGEST_K;
const CASES = CALLS.flatMap((call) =>
  Array.from({ length: call === 'hand' ? LARGEST_HAND : LARGEST_K }, (_, at) => ({ call, k: at + 1 })),
);

/** A lease far longer than the test: what a live worker does not know must be found without it. */
const TIMING = { LEASE_MS: '60000', HEARTBEAT_MS: '300', POP_GRACE_MS: '300', BLOCK_MS: '1000' };
const ROUNDS_AT_LEAST = 5;
const ROUNDS_AT_MOST = 300;
const HEALED_WITHIN_MS = 15_000;

let redis: TestRedis;
/** Reaches Redis without a proxy: the cases that are about workers alone share it. */
let undisturbed: RoleHere;

beforeAll(async () => {
  redis = await startRedis();
  undisturbed = await startHere('server', { ...JOURNAL_TASKS, REDIS_URL: redis.url });
});

afterAll(async () => {
  await stopHere(undisturbed);
  await redis?.stop();
});

const NAME = 'the reply of $call, call $k, gets lost: every task runs once';
const isOfServer = ({ call }: (typeof CASES)[number]): boolean => call === 'enqueue' || call === 'hand';

// Workers mostly wait, so they do it side by side; a server must send its call again within a second, and has the machine to itself.
test.concurrent.for(CASES.filter((one) => !isOfServer(one)))(NAME, runAll);
test.for(CASES.filter(isOfServer))(NAME, runAll);

async function runAll({ call, k }: (typeof CASES)[number], context: TestContext): Promise<void> {
  const stage = openStage(context);
  const queue = `${call.toLowerCase()}-${k}`;
  const facts = openQueueFacts(redis, queue);
  const proxy = await stage.proxy(await nodeOf(redis, queue));
  const ofServer = isOfServer({ call, k });
  // A server repeats either of its calls as the one that it takes for right by then.
  const calls = (): number => (ofServer ? proxy.calls('enqueue') + proxy.calls('hand') : proxy.calls(call));
  let callsWhenLost: number | undefined;
  void proxy.loseReply(call, k).then(() => {
    callsWhenLost = calls();
  });
  const behindProxy = { ...JOURNAL_TASKS, REDIS_URL: proxy.url };
  const startWorker = (): Promise<RoleHere> =>
    stage.here('worker', {
      ...behindProxy,
      ...TIMING,
      QUEUES: queue,
      CONCURRENCY: '2',
      ...(ofServer ? { REDIS_URL: redis.url } : {}),
    });
  const [server, early] = await Promise.all([
    ofServer ? stage.here('server', behindProxy) : undisturbed,
    call === 'enqueue' ? undefined : startWorker(),
  ]);

  // In rounds, because a worker that is never idle needs no BRPOP and no claim. Many at once for the server, so that
  // some of them come while its connection breaks.
  const [tasksARound, runMs] = ofServer ? [40, 0] : [4, 20];
  const ids: string[] = [];
  // While no worker is idle a server does not hand over what it accepts.
  while (call === 'enqueue' && callsWhenLost === undefined)
    ids.push(...(await facts.send(server.url(), tasksARound, runMs)));
  const worker = early ?? (await startWorker());
  async function runRound(): Promise<void> {
    ids.push(...(await facts.send(server.url(), tasksARound, runMs)));
    await facts.untilSucceeded(ids, HEALED_WITHIN_MS);
  }
  for (let round = 1; round <= ROUNDS_AT_MOST; round += 1) {
    if (round > ROUNDS_AT_LEAST && callsWhenLost !== undefined) break;
    await runRound();
  }
  await runRound();
  // The call was not given up.
  await eventually(() => callsWhenLost !== undefined && calls() > callsWhenLost);

  await facts.expectAllDone(ids, { withinMs: HEALED_WITHIN_MS });
  for (const id of ids) {
    expect(facts.runs(id)).toBe(1);
    // Not the claims: one that was taken ahead, and waited too long for a place, is given back and claimed again.
    expect(await facts.task(id)).toMatchObject({ failures: 0, crashes: 0 });
  }
  expect(worker.log().map(({ msg }) => msg)).not.toContain('the outcome came too late and was not recorded');
}
