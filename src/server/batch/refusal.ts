// Why a request with many tasks is refused as a whole.

import { PopfleetError } from '../../protocol/errors.ts';
import { type BadItem, type BatchItem, isGood } from './items.ts';

/** Most faults that are reported of a batch that is refused. */
export const ERRORS_REPORTED = 100;

/** @param at JSON Pointer of the tasks in the request, without `#` */
export function refusalOf(items: readonly BatchItem[], at = ''): PopfleetError {
  const bad = items.filter((item): item is BadItem => !isGood(item));
  const errorCount = bad.reduce((sum, item) => sum + item.errorCount, 0);
  const faults = bad
    .flatMap(({ errors }) => errors)
    .slice(0, ERRORS_REPORTED)
    .map(({ pointer, detail }) => ({ pointer: `#${at}${pointer.slice(1)}`, detail }));
  const rest = faults.length < errorCount ? ` The first ${faults.length} are listed here.` : '';
  return new PopfleetError(
    'invalid-input',
    `${bad.length} of ${items.length} tasks are not valid (${errorCount} ${errorCount === 1 ? 'fault' : 'faults'}), so none was accepted.${rest}`,
    { faults, extensions: { errorCount } },
  );
}
