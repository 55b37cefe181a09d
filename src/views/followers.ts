// What follows a task, as callers see it with the task.

import * as v from 'valibot';
import { compact } from '../protocol/compact.ts';
import { decodeContent, typeOfContent } from '../protocol/message.ts';
import { derivedTaskId } from '../protocol/task-id.ts';
import { isTerminal } from '../protocol/task-state.ts';
import { readTarget, WEBHOOK_TYPE } from '../protocol/webhook.ts';
import { readFollowers } from '../store/outbox.ts';
import { readStep, type TaskRecord } from '../store/record.ts';
import { named } from './component.ts';

const OnEndView = v.object({
  type: v.string(),
  queue: v.string(),
  task: v.exactOptional(
    v.pipe(
      v.string(),
      v.description('id of the task that follows its latest end; 404 until that is accepted, a moment later'),
    ),
  ),
});
const WebhookView = v.object({
  endpoint: v.exactOptional(v.pipe(v.string(), v.description('id of a registered endpoint'))),
  url: v.exactOptional(v.string()),
  states: v.exactOptional(v.pipe(v.array(v.string()), v.description('absent: all in which a task ends'))),
  delivery: v.exactOptional(
    v.pipe(
      v.string(),
      v.description('id of the task that tells of its latest end; 404 until that is accepted'),
    ),
  ),
});
type WebhookView = v.InferOutput<typeof WebhookView>;

export const followersEntries = {
  onEnd: v.exactOptional(
    v.pipe(OnEndView, v.description('the task that is accepted when this one has ended')),
  ),
  webhooks: v.exactOptional(
    v.pipe(v.array(named('TaskWebhook', WebhookView)), v.description('who is told when it has ended')),
  ),
};

/** Of the tasks that follow it, the first: its call has asked for it. */
export function followersOf(record: TaskRecord): {
  onEnd: v.InferOutput<typeof OnEndView> | undefined;
  webhooks: WebhookView[] | undefined;
} {
  let onEnd: v.InferOutput<typeof OnEndView> | undefined;
  const webhooks: WebhookView[] = [];
  const followers = record.followers === undefined ? [] : readFollowers(record.followers);
  for (const [position, follower] of followers.entries()) {
    if (!follower || 'kind' in follower) continue;
    const type = typeOfContent(follower.content);
    if (type === WEBHOOK_TYPE) webhooks.push(...webhookOf(record, follower.content, position));
    else if (type !== undefined) {
      onEnd ??= compact({ type, queue: follower.queue, task: idOfFollower(record, position) });
    }
  }
  return { onEnd, webhooks: webhooks.length > 0 ? webhooks : undefined };
}

/** As the relay makes it (upkeep/relay.ts). */
function idOfFollower(
  { id, state, ends, step, finishedAt }: TaskRecord,
  position: number,
): string | undefined {
  const hasEnded = isTerminal(state) && finishedAt !== undefined;
  const generation = step === undefined ? undefined : readStep(step)?.generation;
  const number = generation === undefined ? ends : `g${generation}`;
  return hasEnded ? derivedTaskId(finishedAt, `${id}:${number} ${position}`) : undefined;
}

function webhookOf(record: TaskRecord, content: Buffer, position: number): readonly WebhookView[] {
  const target = readTarget(inputOf(content));
  if (!target) return [];
  const { endpoint, url, states } = target;
  const isTold = states === undefined || states.includes(record.state);
  return [
    compact<WebhookView>({
      endpoint,
      url,
      states: states && [...states],
      delivery: isTold ? idOfFollower(record, position) : undefined,
    }),
  ];
}

function inputOf(content: Buffer): unknown {
  try {
    return decodeContent(content).input;
  } catch {
    return undefined; // Another program has spoilt it.
  }
}
