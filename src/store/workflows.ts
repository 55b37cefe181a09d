// Workflows: records of tasks that need each other, in a home queue (lua/lib/workflows.lua). A record is written first, then the steps as
// waiting tasks in their queues, and then it is committed: nothing runs before all of them are there.

import type { Redis } from 'ioredis';
import { TASK_ID_CHARS } from '../protocol/names.ts';
import { endpointRulesOf, recordWebhooks } from './endpoint-rules.ts';
import { homeOf, keyOf, type Place } from './keys.ts';
import { acceptWaiting, type NeedPolicy, type WaitingTask } from './needs.ts';
import { type FoundRecords, type Located, readPage, type RecordPage } from './record-pages.ts';
import { registerQueues } from './queue-names.ts';
import { type ScriptArgument } from './script-call.ts';
import { readTasks } from './read-tasks.ts';
import type { TaskRecord } from './record.ts';
import { runScript } from './scripts.ts';
import { withStoreErrors } from './store-error.ts';
import type { UnconfirmedStep } from './sweeper.ts';
import { twice } from './twice.ts';

/** A step as it was asked for. */
export interface WorkflowStep {
  /** Its name. */
  readonly step: string;
  /** Of its task. */
  readonly id: string;
  readonly type: string;
  readonly queue: string;
  /** Names of other steps. */
  readonly needs: readonly string[];
  readonly onNeedFailed: NeedPolicy;
}

/** What was asked for. It never changes. */
export interface WorkflowPlan {
  readonly id: string;
  /** The queue that has the record. */
  readonly home: string;
  readonly name?: string | undefined;
  readonly key?: string | undefined;
  readonly cancelSiblings?: boolean | undefined;
  /** The tick that has started it; `due` in milliseconds since 1970. */
  readonly schedule?: { readonly name: string; readonly due: number } | undefined;
  readonly steps: readonly WorkflowStep[];
}

export const WORKFLOW_STATES = ['accepting', 'running', 'succeeded', 'dead', 'cancelled'] as const;
type WorkflowState = (typeof WORKFLOW_STATES)[number];

/** How far it is. Times are milliseconds of the clock of Redis. */
interface WorkflowProgress {
  readonly state: WorkflowState;
  /** 1, and one more with each retry. */
  readonly generation: number;
  /** Steps of this generation that have not ended. */
  readonly open: number;
  readonly total: number;
  readonly dead?: number;
  readonly cancelled?: number;
  readonly isCancelling?: boolean;
  /** It was never committed. */
  readonly isWithdrawn?: boolean;
  readonly acceptedAt: number;
  readonly startedAt?: number;
  readonly endedAt?: number;
}

export interface WorkflowRecord {
  readonly plan: WorkflowPlan;
  readonly progress: WorkflowProgress;
  /** How steps have ended, by the ids of their tasks, and in which generation. */
  readonly ends: ReadonlyMap<string, { readonly generation: number; readonly state: string }>;
}

/** Whether none of its steps runs any more, unless it is retried. */
export function isOverWorkflow({ progress: { state } }: WorkflowRecord): boolean {
  return state === 'succeeded' || state === 'dead' || state === 'cancelled';
}

/** An end of a step. */
export interface StepEnd {
  readonly workflow: string;
  readonly task: string;
  readonly generation: number;
  readonly state: string;
}

/** `unknown`: there is no such workflow. */
type Answer = WorkflowState | 'unknown';

interface Changed {
  /** `cancel`: the state before. */
  readonly state: Answer;
  /** Entries that were appended to the outbox of the home queue. */
  readonly appended: number;
}

/** How long the steps of a record may be on their way, in milliseconds; their queues ask for the record later than that. */
const COMMIT_WITHIN_MS = 60_000;
export const CONFIRM_WITHIN_MS = 90_000;

/**
 * All calls reject with PopfleetError `redis-unavailable`; `open`, `accept` and `waitAgain` also with `redis-full`. Those that do the same
 * when they are made twice are repeated after a lost reply.
 */
export interface Workflows {
  /**
   * Writes a record. A repeat finds it by its id.
   * @param followers its steps, as `writeLink` writes them, with blanks between
   * @returns `replayed` or `conflict`: its key belongs to the workflow `id`, made by the same request or by another one
   */
  open(
    plan: WorkflowPlan,
    digest: string,
    followers: string,
  ): Promise<{ readonly word: 'opened' | 'known' | 'replayed' | 'conflict'; readonly id: string }>;
  /** The workflow that was made with a key, and the digest of its request. */
  findKey(home: string, key: string): Promise<{ readonly id: string; readonly digest: string } | undefined>;
  /** Accepts steps. */
  accept(queue: string, tasks: readonly WaitingTask[]): Promise<void>;
  /**
   * Has steps that have failed wait again.
   * @param steps with their needs, as the column has them
   * @returns for each `waiting`, `later` when it is still to hear that the retry before was taken back, or `gone` when it was removed
   */
  waitAgain(
    queue: string,
    generation: number,
    steps: readonly { readonly id: string; readonly needs: string }[],
  ): Promise<readonly ('waiting' | 'later' | 'gone')[]>;
  /** Lets its steps begin. @returns another state than `running` when it is too late */
  commit(home: string, id: string, generation: number): Promise<Changed>;
  /** Takes it back, unless it was committed. */
  withdraw(home: string, id: string, generation: number): Promise<Changed>;
  cancel(home: string, id: string): Promise<Changed>;
  /** Accepts it again, unless it runs or has succeeded; goes on with a retry that was not committed. @returns `accepting`, and ids of the steps that are to run again */
  retry(
    home: string,
    id: string,
  ): Promise<Changed & { readonly generation: number; readonly again: readonly string[] }>;
  /** Counts ends of steps; each once. */
  ended(home: string, ends: readonly StepEnd[]): Promise<Changed>;
  /** Whether all that has not ended of it is being cancelled, or was. */
  isCancelling(home: string, id: string): Promise<boolean>;
  /** The tasks of some of its steps, as far as they are kept. */
  tasks(steps: readonly WorkflowStep[]): Promise<readonly TaskRecord[]>;
  find(id: string, queues: readonly string[]): Promise<WorkflowRecord | undefined>;
  /** Newest first. */
  list(queues: readonly string[], page: RecordPage<WorkflowState>): Promise<FoundRecords<WorkflowRecord>>;
}

/**
 * @param client a connection of `openCommandConnection`
 * @param onAppended told of places whose outbox has more to relay
 */
export function createWorkflows(
  client: Redis,
  onAppended: (place: Place) => void = () => undefined,
): Workflows {
  async function change(home: string, args: readonly ScriptArgument[]) {
    const reply = (await runScript(client, 'workflow', homeOf(home), args)) as [
      number,
      Buffer,
      number,
      Buffer[],
    ];
    const [appended, state, generation, again] = reply;
    if (appended > 0) onAppended(homeOf(home));
    return { appended, state: String(state) as Answer, generation, again: again.map(String) };
  }

  return withStoreErrors<Workflows>({
    async open(plan, digest, followers) {
      await registerQueues(client, [plan.home]);
      const { id, home, key = '', steps } = plan;
      const webhooks = recordWebhooks(await endpointRulesOf(client).current(), 'workflow', home);
      const all = [followers, ...webhooks].join(' ');
      const counts = [steps.length, webhooks.length];
      const args = [id, key, digest, JSON.stringify(plan), all, ...counts, COMMIT_WITHIN_MS];
      const [word, found] = (await twice(client, () =>
        runScript(client, 'workflow-open', homeOf(home), args),
      )) as Buffer[];
      return { word: String(word) as 'opened' | 'known' | 'replayed' | 'conflict', id: String(found) };
    },
    async accept(queue, tasks) {
      await twice(client, () => acceptWaiting(client, queue, tasks));
    },
    async waitAgain(queue, generation, steps) {
      const args = [generation, CONFIRM_WITHIN_MS, ...steps.flatMap(({ id, needs }) => [id, needs])];
      const answers = (await twice(client, () =>
        runScript(client, 'rewait', homeOf(queue), args),
      )) as Buffer[];
      return answers.map(String) as ('waiting' | 'later' | 'gone')[];
    },
    commit: (home, id, generation) => twice(client, () => change(home, ['commit', id, generation])),
    withdraw: (home, id, generation) => twice(client, () => change(home, ['withdraw', id, generation])),
    cancel: (home, id) => change(home, ['cancel', id]),
    retry: (home, id) => change(home, ['retry', id, COMMIT_WITHIN_MS]),
    ended: (home, ends) =>
      change(home, [
        'ended',
        ...ends.flatMap(({ workflow, task, generation, state }) => [workflow, task, generation, state]),
      ]),

    ...readersOf(client),
  });
}

function readersOf(client: Redis): Pick<Workflows, 'findKey' | 'isCancelling' | 'tasks' | 'find' | 'list'> {
  return {
    async findKey(home, key) {
      const owner = await client.hget(keyOf(homeOf(home), 'workflow-keys'), key);
      return owner === null
        ? undefined
        : { id: owner.slice(0, TASK_ID_CHARS), digest: owner.slice(TASK_ID_CHARS) };
    },

    async isCancelling(home, id) {
      const progress = parse(await client.hget(keyOf(homeOf(home), 'workflow-states'), id));
      return (progress as WorkflowProgress | undefined)?.isCancelling === true;
    },

    async tasks(steps) {
      const queues = [...new Set(steps.map(({ queue }) => queue))];
      const found = await Promise.all(
        queues.map((queue) => {
          const ids = steps.filter((step) => step.queue === queue).map(({ id }) => id);
          return readTasks(client, homeOf(queue), ids);
        }),
      );
      return found.flat();
    },

    async find(id, queues) {
      const found = await Promise.all(queues.map((queue) => readWorkflow(client, homeOf(queue), id)));
      return found.find((record) => record !== undefined);
    },

    list: (queues, page) =>
      readPage<WorkflowState, WorkflowRecord>(client, 'workflow-order', queues, page, async (all, state) => {
        const wanted = state === undefined ? all : await inState(client, all, state);
        return Promise.all(wanted.map(({ id, home }) => readWorkflow(client, home, id)));
      }),
  };
}

async function inState(
  client: Redis,
  all: readonly Located[],
  state: WorkflowState,
): Promise<readonly Located[]> {
  const texts = await Promise.all(all.map(({ id, home }) => client.hget(keyOf(home, 'workflow-states'), id)));
  return all.filter((_, at) => (parse(texts[at] ?? null) as WorkflowProgress | undefined)?.state === state);
}

/** `undefined`: there is none here, or another program has spoilt it. */
async function readWorkflow(client: Redis, home: Place, id: string): Promise<WorkflowRecord | undefined> {
  const [json, state] = await Promise.all([
    client.hget(keyOf(home, 'workflows'), id),
    client.hget(keyOf(home, 'workflow-states'), id),
  ]);
  const plan = parse(json) as WorkflowPlan | undefined;
  const progress = parse(state) as WorkflowProgress | undefined;
  if (!plan || !progress || plan.steps.length === 0) return undefined;
  const fields = plan.steps.map((step) => `${id} ${step.id}`);
  const texts = await client.hmget(keyOf(home, 'workflow-ends'), ...fields);
  const ends = new Map<string, { generation: number; state: string }>();
  for (const [at, text] of texts.entries()) {
    const [generation, ended] = text?.split(' ') ?? [];
    const step = plan.steps[at];
    if (step && ended !== undefined) ends.set(step.id, { generation: Number(generation), state: ended });
  }
  return { plan, progress, ends };
}

function parse(text: string | null): unknown {
  try {
    return JSON.parse(text ?? 'null') ?? undefined;
  } catch {
    return undefined;
  }
}

/** What a workflow does to its steps. */
export type StepAct = 'cancel' | 'free' | 'withdraw';

/** @returns how many entries were appended to the outbox of the place @throws Error of ioredis */
export async function actOnSteps(
  client: Redis,
  place: Place,
  act: StepAct,
  generation: number,
  ids: readonly string[],
): Promise<number> {
  return (await runScript(client, 'step', place, [act, generation, ...ids])) as number;
}

/**
 * Asks for the workflows of steps that have waited for them for too long, and cancels those whose workflow was taken back or is gone.
 * @param place where they wait
 * @returns how many entries were appended to the outbox of the place
 * @throws Error of ioredis
 */
export async function confirmSteps(
  client: Redis,
  place: Place,
  steps: readonly UnconfirmedStep[],
): Promise<number> {
  let appended = 0;
  for (const { id, home, workflow, generation } of steps) {
    const progress = parse(await client.hget(keyOf(homeOf(home), 'workflow-states'), workflow)) as
      | WorkflowProgress
      | undefined;
    const isCurrent = progress !== undefined && progress.generation === generation;
    if (isCurrent && (progress.state === 'accepting' || progress.state === 'running')) continue;
    appended += await actOnSteps(client, place, 'withdraw', generation, [id]);
  }
  return appended;
}
