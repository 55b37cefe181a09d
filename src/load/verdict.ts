// The verdict on a load run: a word, a sentence and an exit code.

import { EXIT } from '../commands/exit-code.ts';
import type { LoadOptions } from './options.ts';
import type { Sent, Stop } from './send-tasks.ts';
import type { Verified } from './verify-tasks.ts';

/** The exit code of each verdict. */
export const EXIT_CODES = {
  ok: EXIT.ok,
  lost: EXIT.failed,
  unreachable: EXIT.unreachable,
  denied: EXIT.denied,
  rejected: EXIT.rejected,
  'over-limit': EXIT.overLimit,
  interrupted: EXIT.interrupted,
} as const;
type LoadOutcome = keyof typeof EXIT_CODES;

export interface Verdict {
  readonly outcome: LoadOutcome;
  /** The verdict in a sentence, with what to do when it is not good. */
  readonly message: string;
}

/** A lost task decides whatever else went wrong; an interrupted run proves nothing either way. */
export function judge(options: LoadOptions, sent: Sent, verified: Verified | null): Verdict {
  const accepted = sent.acceptedIds.length;
  if (options.signal?.aborted) {
    return {
      outcome: 'interrupted',
      message: 'Interrupted: the tasks accepted so far stay in the queue, unchecked.',
    };
  }
  if (verified && verified.missingIds.length + verified.unfinishedIds.length > 0) {
    return { outcome: 'lost', message: lostMessage(options, verified) };
  }
  if (sent.stop) return { outcome: sent.stop.code, message: stopMessage(options, sent, sent.stop) };
  if (accepted === 0) {
    const message = `None of ${sent.sent} tasks was accepted for certain (${sent.unknownReason ?? 'no answer'}): look at the log of the server.`;
    return { outcome: 'unreachable', message };
  }
  if (!verified) {
    return { outcome: 'ok', message: `${accepted} tasks were accepted; whether they ran was not checked.` };
  }
  return { outcome: 'ok', message: `Nothing was lost: all ${accepted} accepted tasks are accounted for.` };
}

function lostMessage(options: LoadOptions, { missingIds, unfinishedIds }: Verified): string {
  const parts = [];
  if (missingIds.length > 0) parts.push(`${missingIds.length} accepted tasks are unknown to the server`);
  if (unfinishedIds.length > 0) {
    const seconds = options.drainTimeoutMs / 1_000;
    parts.push(
      `${unfinishedIds.length} did not finish within ${seconds} s (is a worker running? --drain-timeout gives them longer)`,
    );
  }
  return `Lost: ${parts.join('; ')}.`;
}

function stopMessage(options: LoadOptions, sent: Sent, { code, reason }: Stop): string {
  const progress = `after ${sent.sent} of ${options.tasks} tasks`;
  switch (code) {
    case 'unreachable':
      return `No connection to ${options.url.href} (${reason}): start a server with "npm start", or name another with --url.`;
    case 'denied':
      return `The server does not let this caller add tasks (${reason}).`;
    case 'rejected':
      return `The server rejected the task (${reason}): sending stopped ${progress}; see --type, --input and --queue.`;
    case 'over-limit':
      return `The server refused tasks for ${options.patienceMs / 1_000} s (${reason}): sending stopped ${progress}; try again later or with a smaller --in-flight.`;
  }
}
