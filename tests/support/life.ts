// Sends tasks of `fixtures/life.mjs` with any options, and reads what became of them as callers see it.

import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { type Answer, call, post } from './http.ts';
import { JOURNAL_TASKS } from './queue-facts.ts';

/** The setting that makes a role know the types of `fixtures/life.mjs`, and "journal". */
export const LIFE_TASKS = {
  TASKS: [fileURLToPath(new URL('../fixtures/life.mjs', import.meta.url)), JOURNAL_TASKS.TASKS].join(','),
};

const MOST_TRIES = 5;
const IS_OPEN = new Set(['waiting', 'scheduled', 'ready', 'running']);

interface ErrorAnswer {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
  readonly fingerprint?: string;
  readonly killCause?: string;
  readonly killLatencyMs?: number;
}

/** What the server answers for a task, as far as these tests look at it. */
export interface TaskAnswer {
  readonly id: string;
  readonly state: string;
  readonly attempt: number;
  readonly crashes: number;
  readonly worker: string;
  readonly options: Record<string, unknown>;
  readonly progress?: unknown;
  readonly result?: unknown;
  readonly error?: ErrorAnswer;
  readonly errors: readonly {
    readonly claim: number;
    readonly worker: string;
    readonly startedAt: string;
    readonly endedAt: string;
    readonly error: ErrorAnswer;
  }[];
  readonly acceptedAt: string;
  readonly dueAt: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly cancelRequestedAt: string;
  readonly children?: readonly { readonly task: string; readonly queue: string; readonly state: string }[];
}

/** Sends one task; answers its id when it was accepted. A machine that is very busy may leave Redis unheard for a moment. */
export async function send(url: string, type: string, input: unknown = {}, options = {}): Promise<string> {
  for (let tries = 1; ; tries += 1) {
    const { status, body } = await post(`${url}/v1/tasks`, { type, input, ...options });
    if (body['code'] === 'redis-unavailable' && tries < MOST_TRIES) continue;
    expect({ status, body }).toMatchObject({ status: 202 });
    return String(body['id']);
  }
}

/** The task as it is now. */
export async function look(url: string, id: string): Promise<TaskAnswer> {
  return (await call(`${url}/v1/tasks/${id}`)).body as unknown as TaskAnswer;
}

/** The task once it is finished, or after 100 s. */
export async function finished(url: string, id: string): Promise<TaskAnswer> {
  for (let tries = 1; ; tries += 1) {
    const task = (await call(`${url}/v1/tasks/${id}?wait=25`)).body as unknown as TaskAnswer;
    if (tries === 4 || !IS_OPEN.has(task.state)) return task;
  }
}

/** Sends one task and answers it once it is finished. */
export async function run(url: string, type: string, input: unknown = {}, options = {}): Promise<TaskAnswer> {
  return finished(url, await send(url, type, input, options));
}

export async function linesOf(url: string, id: string): Promise<readonly string[]> {
  return (await call(`${url}/v1/tasks/${id}/log`)).body['lines'] as readonly string[];
}

export function act(url: string, id: string, verb: 'cancel' | 'retry'): Promise<Answer> {
  return post(`${url}/v1/tasks/${id}/${verb}`, {});
}

/** Milliseconds from one time of a task to another. */
export function millis(from: string, to: string): number {
  return Date.parse(to) - Date.parse(from);
}

/** The processes in which handlers ran that write into this file, in order. */
export function pidsIn(file: string): number[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => Number(line.split(' ')[2]));
}
