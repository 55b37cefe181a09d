// Schedules of the API, which make tasks by the clock.

import { listOf } from './pages.ts';
import type { CheckedSchedule, ScheduleInput, ScheduleReceipt, ScheduleView } from './schedule-shapes.ts';
import type { CallOptions, Transport } from './transport.ts';

/** Which of several schedules of one name is meant, by its queue. */
interface ScheduleOptions extends CallOptions {
  readonly queue?: string | undefined;
}

/** @throws ApiError from every method; `not-found`, or `ambiguous-name` when several queues have one of that name */
export interface Schedules {
  list(options?: ScheduleOptions): Promise<readonly ScheduleView[]>;
  get(name: string, options?: ScheduleOptions): Promise<ScheduleView>;
  /** Creates it, or replaces the one of that name. */
  put(name: string, schedule: ScheduleInput, options?: ScheduleOptions): Promise<ScheduleView>;
  /** Whether a schedule would be taken, and when it would tick; nothing is kept. It rejects with the reason when it would not. */
  check(schedule: ScheduleInput, options?: CallOptions): Promise<CheckedSchedule>;
  pause(name: string, options?: ScheduleOptions): Promise<ScheduleView>;
  resume(name: string, options?: ScheduleOptions): Promise<ScheduleView>;
  /** Makes a task of it now, or starts its workflow, as a tick would. */
  run(name: string, options?: ScheduleOptions): Promise<ScheduleReceipt>;
  /** Tasks that it made stay. */
  remove(name: string, options?: ScheduleOptions): Promise<void>;
}

export function createSchedules(transport: Transport): Schedules {
  const path = (name: string): string => `/v1/schedules/${encodeURIComponent(name)}`;
  const act =
    (verb: 'pause' | 'resume') =>
    (name: string, { queue, signal }: ScheduleOptions = {}) =>
      transport.json<ScheduleView>({
        method: 'POST',
        path: `${path(name)}/${verb}`,
        query: { queue },
        signal,
      });
  return {
    list: ({ queue, signal } = {}) => listOf(transport, { path: '/v1/schedules', query: { queue }, signal }),
    get: (name, { queue, signal } = {}) => transport.json({ path: path(name), query: { queue }, signal }),
    put: (name, schedule, { queue, signal } = {}) =>
      transport.json({ method: 'PUT', path: path(name), query: { queue }, body: schedule, signal }),
    check: (schedule, { signal } = {}) =>
      transport.json({ method: 'POST', path: '/v1/schedules/check', body: schedule, signal }),
    pause: act('pause'),
    resume: act('resume'),
    run: (name, { queue, signal } = {}) =>
      transport.json({
        method: 'POST',
        path: `${path(name)}/run`,
        query: { queue },
        once: true,
        signal,
      }),
    remove: (name, { queue, signal } = {}) =>
      transport.json({ method: 'DELETE', path: path(name), query: { queue }, removes: true, signal }),
  };
}
