// A dead task with another input, which is checked as when a task is sent: its content, and what it is found by.

import { PopfleetError } from '../protocol/errors.ts';
import { decodeContent, encodeContent, type TaskContent } from '../protocol/message.ts';
import type { EditedInput } from '../store/operator.ts';
import type { TaskRecord } from '../store/record.ts';
import { readTerms, writeTerms } from '../store/terms.ts';
import type { Registry } from '../tasks/registry.ts';
import { ALONE, definitionOf } from './new-task.ts';
import { searchFieldsOf } from './search-fields.ts';

/**
 * @param record of the task
 * @param now milliseconds since 1970
 * @throws PopfleetError `unknown-type`, `invalid-input`; `invalid-state` when what it has cannot be read
 */
export function editInput(
  registry: Registry,
  record: Pick<TaskRecord, 'content' | 'terms'>,
  input: unknown,
  now: number,
): EditedInput {
  const { type, options } = readContent(record.content);
  const fields = searchFieldsOf(definitionOf(registry, { type, input }, ALONE), input, ALONE.input);
  const { tags } = readTerms(record.terms ?? '');
  return {
    content: encodeContent(type, input, { ...options, inputEditedAt: now }),
    terms: writeTerms(tags, fields),
  };
}

function readContent(content: Buffer): TaskContent {
  try {
    return decodeContent(content);
  } catch (error) {
    throw new PopfleetError('invalid-state', 'The message of this task cannot be read. Send a new task.', {
      cause: error,
    });
  }
}
