// The outcome of each task of a batch, as one document or as a sequence with one item a task.

import type { Context } from 'hono';
import * as v from 'valibot';
import { keyReused, ofTask } from '../../accept/idempotency.ts';
import { encodeCbor } from '../../protocol/cbor.ts';
import { type Durability, DurabilitySchema } from '../../protocol/options.ts';
import { ERROR_CODES } from '../../protocol/errors.ts';
import type { Verdict } from '../../store/producer.ts';
import { preferredMedia } from '../preferred-media.ts';
import { reachedBy } from '../receipt.ts';
import { answer, respond } from '../answer.ts';
import type { AppEnv } from '../app-env.ts';
import { named } from '../../views/component.ts';
import { type BadItem, type BatchItem, type GoodItem, isGood, toBadItem } from './items.ts';

const ItemProblemSchema = v.object({
  code: v.string(),
  detail: v.string(),
  errors: v.array(v.object({ pointer: v.string(), detail: v.string() })),
});
const ItemSchema = v.object({
  index: v.exactOptional(v.pipe(v.number(), v.description('with `partial`: its place in the request'))),
  status: v.exactOptional(
    v.pipe(v.picklist([202, 200, 422, 404, 403]), v.description('with `partial`: as if it had come alone')),
  ),
  id: v.exactOptional(v.string()),
  queue: v.exactOptional(v.string()),
  state: v.exactOptional(v.picklist(['ready', 'scheduled'])),
  replayed: v.exactOptional(
    v.pipe(v.literal(true), v.description('its key found a task that was made by the same request before')),
  ),
  durability: v.exactOptional(v.pipe(DurabilitySchema, v.description('as in the answer for a single task'))),
  problem: v.exactOptional(
    v.pipe(
      ItemProblemSchema,
      v.description(
        'why it was not accepted; without `partial`: its key was taken by another request in just this moment',
      ),
    ),
  ),
});
type ItemView = v.InferOutput<typeof ItemSchema>;

const summary = { accepted: v.number(), replayed: v.number(), rejected: v.number() };
export const BatchReportSchema = named(
  'BatchReport',
  v.object({
    ...summary,
    items: v.pipe(v.array(named('BatchItem', ItemSchema)), v.description('in the order of the request')),
  }),
);

export interface BatchReport {
  readonly status: 202 | 422;
  readonly summary: Readonly<Record<keyof typeof summary, number>>;
  readonly items: readonly ItemView[];
}

/**
 * @param verdicts by the position among the good items
 * @param isPartial whether each item has its index and status
 */
export function toReport(
  items: readonly BatchItem[],
  verdicts: ReadonlyMap<number, Verdict>,
  isPartial: boolean,
): BatchReport {
  const counts = { accepted: 0, replayed: 0, rejected: 0 };
  let sent = 0;
  const views = items.map((item) => {
    const final = isGood(item) ? afterVerdict(item, verdicts.get(sent++)) : item;
    const outcome = 'code' in final ? 'rejected' : final.replayed ? 'replayed' : 'accepted';
    counts[outcome] += 1;
    const view = 'code' in final ? { problem: toProblem(final) } : final;
    if (!isPartial) return view;
    return { index: item.index, status: statusOf(final), ...view };
  });
  const isRefused = isPartial && items.length > 0 && counts.rejected === items.length;
  return { status: isRefused ? 422 : 202, summary: counts, items: views };
}

interface SentView {
  readonly id: string;
  readonly queue: string;
  readonly state?: GoodItem['state'];
  readonly replayed?: true;
  readonly durability?: Durability;
}

function afterVerdict(
  { index, queue, state, task, durability }: GoodItem,
  verdict: Verdict | undefined,
): SentView | BadItem {
  const reached = reachedBy(durability, verdict);
  if (verdict?.word === 'replayed') return { id: verdict.id, queue, replayed: true, ...reached };
  if (verdict?.word !== 'conflict') return { id: task.id, queue, state, ...reached };
  return toBadItem(index, keyReused(ofTask(verdict.id), `#/${index}/key`));
}

function toProblem({ code, detail, errors }: BadItem): v.InferOutput<typeof ItemProblemSchema> {
  return { code, detail, errors: errors.slice() };
}

type ItemStatus = NonNullable<ItemView['status']>;

function statusOf(final: SentView | BadItem): ItemStatus {
  if ('code' in final) return ERROR_CODES[final.code].status as ItemStatus;
  return final.replayed ? 200 : 202;
}

/** Writes the report as one document, or as a sequence when `Accept` prefers one. */
export function answerBatch(
  c: Context<AppEnv>,
  { status, summary: counts, items }: BatchReport,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const preferred = preferredMedia(c.req.header('accept'), FORMATS);
  const sequence = SEQUENCES.find(({ media }) => media === preferred);
  if (!sequence) return answer(c, status, { ...counts, items }, headers);
  const body = sequence.write([...items, { summary: counts }]);
  return respond(c, status, body, { Vary: 'Accept', 'Content-Type': sequence.media, ...headers });
}

const SEQUENCES = [
  { media: 'application/x-ndjson', write: toLines },
  { media: 'application/jsonl', write: toLines },
  {
    media: 'application/cbor-seq',
    write: (values: readonly unknown[]) => Uint8Array.from(Buffer.concat(values.map(encodeCbor))),
  },
] as const;

const FORMATS = [
  'application/json',
  'application/cbor',
  'application/x-ndjson',
  'application/jsonl',
  'application/cbor-seq',
] as const;

function toLines(values: readonly unknown[]): string {
  return values.map((value) => `${JSON.stringify(value)}\n`).join('');
}
