// Sweeps one place, and does what the sweep has named: ticks of schedules, ends to relay, marks to settle. Logs what it finds.

import type { Log } from '../log.ts';
import { toOptionalTime } from '../protocol/time-text.ts';
import type { Place } from '../store/keys.ts';
import type { Outbox } from '../store/outbox.ts';
import type { Swept } from '../store/sweeper.ts';
import type { TickReport } from '../store/ticks.ts';
import type { OperatePlaces } from './operate-places.ts';
import type { Relay } from './relay.ts';

export interface SweepPlaceDeps {
  readonly place: Place;
  sweep(place: Place, wantsTicks: boolean): Promise<Swept>;
  /** Runs ticks; without it they are left to others. */
  readonly tick?: (queue: string, swept: Swept) => Promise<readonly TickReport[]>;
  readonly outbox: Pick<Outbox, 'settleMarks'>;
  readonly relay: Pick<Relay, 'soon'>;
  /** Asks for the workflows of steps; how many entries that has appended to the outbox. */
  readonly confirm: (place: Place, steps: Swept['unconfirmed']) => Promise<number>;
  /** Looks for members of batches; likewise. */
  readonly confirmMembers: (place: Place, members: Swept['unconfirmedMembers']) => Promise<number>;
  /** Goes on with operations; without it they are left to others. */
  readonly operations?: Pick<OperatePlaces, 'soon'>;
  /** After ticks that failed, the next ones are tried this much later. */
  readonly retryMs: number;
  readonly log: Log;
}

/** The clock of the scripts is named when it is ahead of the time of day by more than this. */
const NAMED_SKEW_MS = 1_000;

/** @returns one sweep with what it names; doing that twice, or on two workers, changes nothing */
export function createSweepPlace(deps: SweepPlaceDeps): () => Promise<Swept> {
  const { place, tick: runTicks, log } = deps;
  const { queue } = place;
  let waitsUntil = 0;
  let failure: string | undefined;
  const watchSkew = createSkewWatch(queue, log);

  async function tick(swept: Swept): Promise<void> {
    try {
      const reports = (await runTicks?.(queue, swept)) ?? [];
      for (const report of reports) logTick(queue, report, log);
      if (reports.some(({ word }) => word === 'started')) deps.relay.soon(place);
      failure = undefined;
    } catch (error) {
      // The other duties of the sweep go on meanwhile: they may be what makes room in a full Redis.
      waitsUntil = performance.now() + deps.retryMs;
      const message = error instanceof Error ? error.message : String(error);
      if (message !== failure)
        log.warn({ queue, err: error }, 'ticks of schedules failed, they are tried again');
      failure = message;
    }
  }

  return async () => {
    const swept = await deps.sweep(place, runTicks !== undefined && performance.now() >= waitsUntil);
    watchSkew(swept.skewMs);
    if (swept.toRelay > 0) deps.relay.soon(place);
    if (swept.isOperationLeft) deps.operations?.soon(place);
    if (swept.ticks.length + swept.plans.length > 0) await tick(swept);
    if (swept.unconfirmed.length > 0 && (await deps.confirm(place, swept.unconfirmed)) > 0) {
      deps.relay.soon(place);
    }
    if (
      swept.unconfirmedMembers.length > 0 &&
      (await deps.confirmMembers(place, swept.unconfirmedMembers)) > 0
    ) {
      deps.relay.soon(place);
    }
    if (swept.marks.length > 0) await deps.outbox.settleMarks(place, swept.marks);
    return swept;
  };
}

function logTick(queue: string, report: TickReport, log: Log): void {
  const { name, word } = report;
  const schedule = { queue, schedule: name };
  switch (word) {
    case 'ran':
      log.debug({ ...schedule, task: report.task }, 'tick');
      break;
    case 'started':
      log.debug({ ...schedule, workflow: report.workflow }, 'tick');
      break;
    case 'skipped':
      log.warn(
        {
          ...schedule,
          ticks: report.skipped.count,
          from: toOptionalTime(report.skipped.from),
          until: toOptionalTime(report.skipped.until),
        },
        'missed ticks were skipped',
      );
      break;
    case 'faulty':
      log.error({ ...schedule, fault: report.fault }, 'a schedule cannot tick: put it again, or delete it');
      break;
    case 'orphan':
      log.warn(schedule, 'a tick of a schedule that is not there was dropped');
      break;
    case 'planned-anew':
      log.warn(
        { ...schedule, planned: toOptionalTime(Number(report.from)), next: toOptionalTime(report.next) },
        'the tick of a schedule was not where it should be, it is planned anew',
      );
      break;
  }
}

/** Says when the clock of Redis was set back, and when the clock of the scripts shows the time of day again. */
function createSkewWatch(queue: string, log: Log): (skewMs: number) => void {
  let named = 0;
  return (skewMs) => {
    if (skewMs > named + NAMED_SKEW_MS) {
      log.warn(
        { queue, aheadMs: skewMs },
        'the clock of Redis was set back: until the queue’s clock shows the time of day again, leases and delays are up to a ninth longer',
      );
    }
    if (named > 0 && skewMs === 0) log.info({ queue }, 'the queue’s clock shows the time of day again');
    named = skewMs > NAMED_SKEW_MS || named > 0 ? skewMs : 0;
  };
}
