// Accepting many tasks with one request: `POST /v1/tasks/batch`.

import type { Context } from 'hono';
import type { Sender } from '../../accept/new-task.ts';
import { PopfleetError } from '../../protocol/errors.ts';
import type { AppEnv } from '../app-env.ts';
import type { Deps } from '../deps.ts';
import { BATCH_MEDIA, type BatchMedia, batchMediaOf, readItems } from '../batch/body.ts';
import { type BatchItem, createItemCheck, type GoodItem, isGood, refuseTakenKeys } from '../batch/items.ts';
import { nextTurn } from '../batch/next-turn.ts';
import { ERRORS_REPORTED, refusalOf } from '../batch/refusal.ts';
import { answerBatch, BatchReportSchema, toReport } from '../batch/report.ts';
import { CALL, ENQUEUE_PROBLEMS } from '../call-schema.ts';
import { booleanEntry, type JsonSchema, type Operation, readQuery, type Route, route } from '../operation.ts';
import { problemAnswer } from '../problem.ts';
import { senderOf } from '../sender.ts';

type BatchDeps = Pick<Deps, 'accept' | 'bodyLimitBytes' | 'batchLimitBytes' | 'quota'>;

const MOST_ITEMS = 10_000;
/** Most faults that are reported of a batch that is accepted in part. */
const ERRORS_REPORTED_OF_PARTS = 10_000;

const queryEntries = {
  partial: booleanEntry('Takes the tasks that are valid; the answer has the outcome of each.'),
};

export function batchRoutes(deps: BatchDeps): readonly Route[] {
  return [
    route('POST', '/v1/tasks/batch', batchOperation(), async (c) => {
      const { partial } = readQuery(c, queryEntries);
      const media = mediaOrProblem(c);
      if (media instanceof Response) return media;
      demandNoKeyHeader(c);
      const isPartial = partial === 'true';
      const { accept } = deps;
      const sender = senderOf(c, deps.quota);
      const read = await readBatch(
        c,
        deps,
        media,
        sender,
        isPartial ? ERRORS_REPORTED_OF_PARTS : ERRORS_REPORTED,
      );
      const items = await refuseTakenKeys(read, accept);
      const good = items.filter(isGood);
      if (!isPartial && good.length < items.length) throw refusalOf(items);

      // Tasks that their key has made before cost no quota: the same batch may be sent again and again.
      await accept.admitMany(
        good.filter(({ isRepeat }) => !isRepeat),
        sender,
      );
      const verdicts = await accept.sendMany(good.length, (at) => good[at] as GoodItem);
      return answerBatch(c, toReport(items, verdicts, isPartial), c.get('rateLimit'));
    }),
  ];
}

/** An unsupported media type is answered with the media types of batches, which differ from those of a single task. */
function mediaOrProblem(c: Context<AppEnv>): BatchMedia | Response {
  try {
    return batchMediaOf(c);
  } catch (error) {
    if (!(error instanceof PopfleetError)) throw error;
    return problemAnswer(c, error, { Accept: BATCH_MEDIA.join(', ') });
  }
}

function demandNoKeyHeader(c: Context<AppEnv>): void {
  if (c.req.header('idempotency-key') === undefined) return;
  throw new PopfleetError(
    'invalid-header',
    'In a batch each task has a `key` of its own, instead of Idempotency-Key.',
  );
}

async function readBatch(
  c: Context<AppEnv>,
  { accept, bodyLimitBytes, batchLimitBytes }: BatchDeps,
  media: BatchMedia,
  sender: Sender,
  mostErrors: number,
): Promise<BatchItem[]> {
  const check = createItemCheck(accept, sender, { itemBytes: bodyLimitBytes, mostErrors });
  const limits = { items: MOST_ITEMS, bodyBytes: batchLimitBytes, itemBytes: bodyLimitBytes };
  const items: BatchItem[] = [];
  for await (const slice of readItems(c, media, limits)) {
    for (const value of slice) items.push(check(value, items.length));
    // Ten thousand tasks take a while to check.
    await nextTurn();
  }
  return items;
}

/** As `POST /v1/tasks/batch` takes tasks, all or none. @throws PopfleetError `unsupported-media-type` and those of `readItems` */
export async function readBatchItems(
  c: Context<AppEnv>,
  deps: BatchDeps,
  sender: Sender,
): Promise<BatchItem[]> {
  demandNoKeyHeader(c);
  return readBatch(c, deps, batchMediaOf(c), sender, ERRORS_REPORTED);
}

/** Limits of tasks that come in an array of a larger request. */
export const ITEM_LIMITS = { mostErrors: ERRORS_REPORTED } as const;

/** The bodies with many tasks. */
const LIST: JsonSchema = { type: 'array', maxItems: MOST_ITEMS, items: CALL };
export const BATCH_BODIES = {
  'application/json': LIST,
  'application/cbor': LIST,
  'application/x-ndjson': CALL,
  'application/jsonl': CALL,
  'application/cbor-seq': CALL,
} as const;

function batchOperation(): Operation {
  // Answers as a sequence have no schema: with one, generated clients would type every answer as `any`.
  const content = { 'application/json': BatchReportSchema, 'application/cbor': BatchReportSchema };
  return {
    id: 'sendTasks',
    tag: 'tasks',
    summary: `Send up to ${MOST_ITEMS} tasks`,
    description:
      'All or none, unless `partial` is true. Sequences (NDJSON, and CBOR by RFC 8742) are read while they come in; their media types in `Accept` bring the answer in the same form: an item of `items` a line, then `{"summary": {…}}`.',
    scope: 'enqueue',
    query: queryEntries,
    body: BATCH_BODIES,
    answers: {
      202: { description: 'Redis has the tasks, or those that are valid.', content },
      422: {
        description: 'A task is not valid, so none was accepted (a problem); with `partial`, none is valid.',
        content: { ...content, 'application/problem+json': { $ref: '#/components/schemas/Problem' } },
      },
    },
    problems: ENQUEUE_PROBLEMS,
  };
}
