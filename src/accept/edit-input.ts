// The content of a dead task with another input, checked as when a task is sent.

import { PopfleetError } from '../protocol/errors.ts';
import { decodeContent, encodeContent, type TaskContent } from '../protocol/message.ts';
import type { Registry } from '../tasks/registry.ts';
import { ALONE, definitionOf } from './new-task.ts';

/**
 * @param content that the task has
 * @param now milliseconds since 1970
 * @throws PopfleetError `unknown-type`, `invalid-input`; `invalid-state` when what it has cannot be read
 */
export function editInput(registry: Registry, content: Buffer, input: unknown, now: number): Buffer {
  const { type, options } = readContent(content);
  definitionOf(registry, { type, input }, ALONE);
  return encodeContent(type, input, { ...options, inputEditedAt: now });
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
