// A task that runs, as a row of the worker that runs it.

import * as v from 'valibot';
import { decodeStored } from '../protocol/cbor.ts';
import { compact } from '../protocol/compact.ts';
import { optionsOfContent, typeOfContent } from '../protocol/message.ts';
import type { TaskRecord } from '../store/record.ts';
import type { Registry } from '../tasks/registry.ts';
import { named } from './component.ts';
import { rowEntries, runOptions, toTaskRow } from './task-view.ts';

const RunningTask = v.object({
  ...rowEntries,
  progress: v.exactOptional(v.pipe(v.unknown(), v.description('what its handler has said last'))),
  timeoutMs: v.exactOptional(
    v.pipe(
      v.number(),
      v.description(
        'how long its handler may run; absent without a limit, and where a large input hides what its call says',
      ),
    ),
  ),
});
export const RunningTaskSchema = named('RunningTask', RunningTask);

/** @param record its content may be cut: then its options are not known */
export function toRunningTask(
  record: TaskRecord,
  registry: Registry,
  basePath: string,
): v.InferOutput<typeof RunningTask> {
  return compact<v.InferOutput<typeof RunningTask>>({
    ...toTaskRow(record, basePath),
    progress: record.progress && decodeStored(record.progress),
    timeoutMs: timeLimitOf(record, registry),
  });
}

function timeLimitOf({ content }: TaskRecord, registry: Registry): number | undefined {
  try {
    return runOptions(optionsOfContent(content), typeOfContent(content) ?? '', registry)?.timeoutMs;
  } catch {
    return undefined;
  }
}
