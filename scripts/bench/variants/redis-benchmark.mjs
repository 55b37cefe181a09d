// The ceiling below every client in JavaScript: what Redis takes from its own load tool.

import { PAYLOAD_TEXT } from '../payload.mjs';
import { isOnPath } from '../../on-path.mjs';
import { output } from '../processes.mjs';

export const title = 'redis-benchmark LPUSH';
export const missing = () =>
  isOnPath('redis-benchmark') ? undefined : 'install redis-benchmark (apt-get install redis-tools)';

/** @returns requests a second */
function lpush({ redis, n }, args) {
  const where = ['-h', '127.0.0.1', '-p', String(redis.port)];
  const what = ['-t', 'lpush', '-n', String(n), '-d', String(PAYLOAD_TEXT.length), '--csv'];
  const csv = output('redis-benchmark', where.concat(what, args));
  return Number(/^"LPUSH","([\d.]+)"/m.exec(csv)?.[1]);
}

export const scenarios = {
  'enqueue-single': (bench) => ({ perSecond: lpush(bench, ['-c', String(bench.inFlight)]) }),
  'enqueue-bulk': (bench) => ({ perSecond: lpush(bench, ['-c', '50', '-P', '16']) }),
};
