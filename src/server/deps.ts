// What the routes of a server work with.

import type { Log } from '../log.ts';
import type { Inspector } from '../store/inspector.ts';
import type { Page, PageQuery } from '../store/lister.ts';
import type { Operator } from '../store/operator.ts';
import type { AskReadiness } from '../store/readiness.ts';
import type { Waiters } from '../store/waiters.ts';
import type { AccessParts } from './auth/access.ts';
import type { EventStreams } from './events/streams.ts';
import type { BatchParts } from './routes/batch.ts';
import type { EnqueueParts } from './routes/enqueue.ts';
import type { ScheduleRouteParts } from './routes/schedules.ts';

export interface Deps extends EnqueueParts, BatchParts, ScheduleRouteParts, AccessParts {
  readonly inspector: Inspector;
  readonly operator: Operator;
  readonly list: (query: PageQuery) => Promise<Page>;
  readonly waiters: Waiters;
  readonly events: EventStreams;
  readonly log: Log;
  /** Asks for what a server needs of Redis. */
  readonly askReadiness: AskReadiness;
  /** True once the server drains. */
  readonly isStopping: () => boolean;
}
