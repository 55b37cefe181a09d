// Hears every tick that Redis counts: which schedule, when it was due, and the task that was made of it.

import type { TestRedis } from './redis.ts';

export interface Tick {
  /** Milliseconds since 1970. */
  readonly due: number;
  readonly task: string;
  /** When Redis counted it. */
  readonly at: number;
}

export interface TickWatch {
  /** Ticks of a schedule so far, in the order in which they were counted. */
  of(schedule: string): readonly Tick[];
  /** Their due times. */
  dues(schedule: string): number[];
  stop(): void;
}

/** Listens until Redis ends, or is told to stop. */
export async function watchTicks(redis: TestRedis): Promise<TickWatch> {
  const ticks = new Map<string, Tick[]>();
  const monitor = await redis.client.monitor();
  // tick.lua writes the last run in the same step that makes the task.
  monitor.on('monitor', (seconds: string, [command = '', key = '', name = '', value = '']: string[]) => {
    if (command.toUpperCase() !== 'HSET' || !key.endsWith(':lastrun')) return;
    const [due, task = ''] = value.split(' ');
    ticks.set(name, [...(ticks.get(name) ?? []), { due: Number(due), task, at: Number(seconds) * 1_000 }]);
  });
  const of = (schedule: string): readonly Tick[] => ticks.get(schedule) ?? [];
  return {
    of,
    dues: (schedule) => of(schedule).map(({ due }) => due),
    stop: () => monitor.disconnect(),
  };
}
