// Runs an operation for a person: shows what it would do, asks, starts it, and shows how far it is.

import type { OperationRequest } from '../client/operations.ts';
import { delay } from '../lifecycle.ts';
import { createProgress } from '../load/progress.ts';
import type { OperationView } from '../views/operation-view.ts';
import { EXIT } from './exit-code.ts';
import type { Session } from './verb.ts';

export interface OperateOptions {
  /** Only shows what would be done. */
  readonly dryRun?: boolean;
  /** False: does not wait for its end. */
  readonly wait?: boolean;
}

const DOES = { retry: 'retried', cancel: 'cancelled', delete: 'deleted', move: 'moved' } as const;
const LOOK_EVERY_MS = 500;

/** @param isConfirmed whether the person has said already that it is meant. @returns the exit code */
export async function operate(
  session: Session,
  request: OperationRequest,
  { dryRun = false, wait = true }: OperateOptions,
  isConfirmed = false,
): Promise<number> {
  const { client, printer, signal } = session;
  const match = await client.operations.match(request, signal);
  const { value, relation } = match.matched;
  const does = DOES[request.action];
  const many = `${value}${relation === 'gte' ? ' or more' : ''} ${value === 1 ? 'task' : 'tasks'} of ${request.filter.queue}`;
  if (dryRun && printer.json) printer.item(match);
  else if (dryRun)
    printer.line(`${many} would be ${does}${value > 0 ? `, such as ${match.sample.join(', ')}` : ''}`);
  if (dryRun || value === 0) {
    if (!dryRun) printer.say(`No task of ${request.filter.queue} matches.`, 'yellow');
    return EXIT.ok;
  }
  const part =
    request.first === undefined || request.first >= value ? '' : `, the first ${request.first} now`;
  if (!isConfirmed && !(await session.confirm(`${many} are to be ${does}${part}. Go on?`))) {
    printer.say('Nothing was changed.');
    return EXIT.failed;
  }
  const started = await client.operations.start(request, match.confirm, signal);
  if (!wait) {
    if (printer.json) printer.item(started);
    else printer.line(started.id);
    printer.say(`Look at it: popfleet op show ${started.id}`, 'dim');
    return EXIT.ok;
  }
  return report(session, await untilEnded(session, started, Math.min(value, request.first ?? value)));
}

async function untilEnded(session: Session, started: OperationView, total: number): Promise<OperationView> {
  const { client, terminal, signal } = session;
  const progress = createProgress(terminal.stderr, () => performance.now());
  progress.begin(started.action, total);
  try {
    let seen = started;
    while (isOpen(seen)) {
      await delay(LOOK_EVERY_MS, signal);
      signal.throwIfAborted();
      seen = await client.operations.get(started.id, signal);
      progress.show(seen.done);
      if (seen.state === 'watching') progress.note('waiting for the ends of these');
    }
    return seen;
  } finally {
    progress.end();
  }
}

function isOpen({ state }: OperationView): boolean {
  return state === 'waiting' || state === 'running' || state === 'watching';
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
