// The client of Redis. It is CommonJS, and Node reads each file of such a package that is imported for the names that it may export, which
// takes longer than to run it: a tenth of a second at each start. What is required is only run.

import { createRequire } from 'node:module';
import type * as ioredis from 'ioredis';

export const { Command, Redis, ReplyError } = createRequire(import.meta.url)('ioredis') as typeof ioredis;
export type Redis = ioredis.Redis;
