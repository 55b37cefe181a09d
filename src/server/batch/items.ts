// The items of a batch, checked: the tasks that can be sent, and the faults of the others.

import type { Accept } from '../../accept/accept.ts';
import { keyReused } from '../../accept/idempotency.ts';
import { type Prepared, positionOf, type Sender } from '../../accept/new-task.ts';
import { type ErrorCode, type FieldFault, PopfleetError } from '../../protocol/errors.ts';
import { demandCall } from '../../protocol/options.ts';
import { invalidInput } from '../../protocol/validate.ts';

/** A task that can be sent. */
export interface GoodItem extends Prepared {
  readonly index: number;
  /** Its idempotency key has made this task before. */
  readonly isRepeat?: true;
}

/** An item that will not be sent. */
export interface BadItem {
  readonly index: number;
  readonly code: ErrorCode;
  readonly detail: string;
  /** Pointers begin with the index. */
  readonly errors: readonly FieldFault[];
  /** Number of faults, those that `errors` leaves out included. */
  readonly errorCount: number;
}

export type BatchItem = GoodItem | BadItem;

export function isGood(item: BatchItem): item is GoodItem {
  return 'task' in item;
}

export interface ItemLimits {
  /** Largest content of a task, in bytes. */
  readonly itemBytes: number;
  /** Most faults that are reported of all items together. One is reported of each in any case. */
  readonly mostErrors: number;
}

/** Makes the function that checks the items of one request. */
export function createItemCheck(
  accept: Accept,
  sender: Sender,
  { itemBytes, mostErrors }: ItemLimits,
): (value: unknown, index: number) => BatchItem {
  let errorsLeft = mostErrors;

  return (value, index) => {
    const position = positionOf(index);
    try {
      const call = demandCall(value, position.call);
      const prepared = accept.prepare(call, sender, position);
      if (prepared.task.content.length > itemBytes) {
        throw invalidInput([
          { pointer: `#${position.input}`, detail: `must have at most ${itemBytes} bytes` },
        ]);
      }
      return { index, ...prepared };
    } catch (error) {
      if (!(error instanceof PopfleetError)) throw error;
      const item = toBadItem(index, error, errorsLeft);
      errorsLeft -= item.errors.length;
      return item;
    }
  };
}

/** @param mostErrors most faults that are reported; one is in any case */
export function toBadItem(index: number, { code, message, faults }: PopfleetError, mostErrors = 1): BadItem {
  const errors = faults.slice(0, Math.max(1, mostErrors));
  // The message of such an error repeats all its faults, which `errors` has.
  const detail = code === 'invalid-input' ? 'The task is not valid.' : message;
  return { index, code, detail, errors, errorCount: faults.length };
}

/**
 * Finds items whose idempotency key belongs to another request, in Redis or earlier in the batch.
 * @returns the items; these are turned into bad ones, and those that their key has made before are marked
 * @throws PopfleetError `redis-unavailable`
 */
export async function refuseTakenKeys(items: readonly BatchItem[], accept: Accept): Promise<BatchItem[]> {
  const { repeats, taken } = await accept.lookUpKeys(items.map((item) => (isGood(item) ? item : undefined)));
  return items.map((item, index) => {
    const whose = taken.get(index);
    if (whose !== undefined) return toBadItem(index, keyReused(whose, `#/${index}/key`));
    return repeats.has(index) && isGood(item) ? { ...item, isRepeat: true } : item;
  });
}
