// How many workers a queue wants: what keeps up with the tasks that arrive (Little's law), and what brings those that wait to their
// start in time.

/** The load of a queue as one reading of Redis shows it. */
export interface QueueLoad {
  /** Tasks that are ready, and those that are due within the next `DUE_SOON_MS`. */
  readonly ready: number;
  readonly dueSoon: number;
  readonly running: number;
  /** Runs that become ready, a second: new tasks and repeats. */
  readonly arrivalsPerSecond: number;
  /** Mean time of a run, in seconds; `undefined` while none has ended. */
  readonly runSeconds: number | undefined;
  /** Tasks that one worker runs at the same time. */
  readonly slotsPerWorker: number;
}

export interface ScaleGoal {
  /** How long a task should wait at most, in seconds. */
  readonly waitSeconds: number;
  readonly min: number;
  readonly max: number;
}

/** Tasks due within this time count as if they waited: a worker takes about so long to start. */
export const DUE_SOON_MS = 30_000;
/**
 * Slots beyond the load, in square roots of it: with as many, a task that arrives finds a free one about four times in five
 * (square-root staffing; S. Halfin and W. Whitt, Heavy-traffic limits for queues with many exponential servers, 1981).
 */
const SPARE = 1;

/**
 * By Little's law, `arrivalsPerSecond × runSeconds` slots are busy on average. Tasks that wait take further ones: each a slot of its
 * own when a run is longer than they should wait, else the share of one that lets them all start in time.
 * @returns workers, from `min` to `max`; at least one while there is anything to run, and never fewer than those that run tasks need
 */
export function wantedWorkers(load: QueueLoad, goal: ScaleGoal): number {
  const { ready, dueSoon, running, arrivalsPerSecond, slotsPerWorker } = load;
  const waiting = ready + dueSoon;
  // Nothing is known of runs that have not ended: each that waits gets a slot.
  const runSeconds = load.runSeconds ?? goal.waitSeconds;
  const busy = arrivalsPerSecond * runSeconds;
  const steady = busy > 0 ? busy + SPARE * Math.sqrt(busy) : 0;
  const catchingUp = waiting * Math.min(1, runSeconds / goal.waitSeconds);
  const slots = Math.max(running, steady + catchingUp, Math.min(1, waiting));
  const workers = Math.ceil(slots / Math.max(1, slotsPerWorker));
  return Math.min(goal.max, Math.max(goal.min, workers));
}
