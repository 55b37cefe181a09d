// Runs an operation for a person: shows what it would do, asks, starts it, and shows how far it is.

import { isOver } from '../client/operations.ts';
import type { OperationRequest, OperationView } from '../client/shapes.ts';
import { EXIT } from './exit-code.ts';
import type { Session } from './verb.ts';

export interface OperateOptions {
  /** Only shows what would be done. */
  readonly dryRun?: boolean;
  /** False: does not wait for its end. */
  readonly wait?: boolean;
}

const DOES = { retry: 'retried', cancel: 'cancelled', delete: 'deleted', move: 'moved' } as const;

/** @param isConfirmed whether the person has said already that it is meant. @returns the exit code */
export async function operate(
  session: Session,
  request: OperationRequest,
  { dryRun = false, wait = true }: OperateOptions,
  isConfirmed = false,
): Promise<number> {
  const { client, printer, signal } = session;
  const match = await client.operations.match(request, { signal });
  const { value, relation } = match.matched;
  const isPart = request.first !== undefined && request.first < value;
  const orMore = relation === 'gte' ? ' or more' : '';
  // It is the time for all of them.
  const isAll = !isPart || request.thenRest === true;
  const takes = isAll ? ` (about ${match.estimateSeconds} s${orMore})` : '';
  const does = DOES[request.action];
  const many = `${value}${orMore} ${value === 1 ? 'task' : 'tasks'} of ${request.filter.queue}`;
  if (dryRun && printer.json) printer.item(match);
  else if (dryRun)
    printer.line(
      `${many} would be ${does}${value > 0 ? `${takes}, such as ${match.sample.join(', ')}` : ''}`,
    );
  if (dryRun || value === 0) {
    if (!dryRun) printer.say(`No task of ${request.filter.queue} matches.`, 'yellow');
    return EXIT.ok;
  }
  const part = isPart ? `, the first ${request.first} now` : '';
  if (!isConfirmed && !(await session.confirm(`${many} are to be ${does}${part}${takes}. Go on?`))) {
    printer.say('Nothing was changed.');
    return EXIT.failed;
  }
  const started = await client.operations.start(request, match.confirm, { signal });
  if (!wait) {
    if (printer.json) printer.item(started);
    else printer.line(started.id);
    printer.say(`Look at it: popfleet op show ${started.id}`, 'dim');
    return EXIT.ok;
  }
  return watchOperation(session, started, Math.min(value, request.first ?? value));
}

/**
 * Shows how far an operation is until it is over, and then what it has done.
 * @param expected tasks that it will do it to, about; unless given, all that there are to look at
 * @returns the exit code
 */
export async function watchOperation(
  session: Session,
  operation: OperationView,
  expected = operation.first,
): Promise<number> {
  const { client, terminal, signal } = session;
  if (isOver(operation)) return report(session, operation);
  const { createProgress } = await import('../load/progress.ts');
  const progress = createProgress(terminal.stderr, () => performance.now());
  let isShown = false;
  try {
    for await (const { done, state, total } of client.operations.follow(operation.id, { signal })) {
      if (state === 'waiting') continue;
      if (!isShown) progress.begin(operation.action, expected ?? total);
      isShown = true;
      progress.show(done);
      if (state === 'watching') progress.note('waiting for the ends of these');
    }
  } finally {
    if (isShown) progress.end();
  }
  return report(session, await client.operations.get(operation.id, { signal }));
}

function report({ printer }: Session, operation: OperationView): number {
  if (printer.json) printer.item(operation);
  else printer.line(summaryOf(operation));
  if (operation.state === 'stopped') {
    printer.say(`It was stopped: ${operation.watched?.dead ?? 0} of these are dead again.`, 'red');
  } else if (operation.next) {
    printer.say('The others stay as they are: the same command without --canary does it to them.', 'dim');
  }
  return operation.state === 'done' ? EXIT.ok : EXIT.failed;
}

/** What an operation has done, in a line. */
export function summaryOf({ action, done, skipped, failed, watched }: OperationView): string {
  const rest = [...Object.entries(skipped), ...Object.entries(failed)].map(
    ([why, number]) => `${number} ${why}`,
  );
  const ends = watched ? [`${watched.succeeded} of these succeeded, ${watched.dead} are dead again`] : [];
  return [`${done} ${DOES[action]}`, ...rest, ...ends].join(', ');
}
