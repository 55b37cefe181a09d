-- Idempotency keys whose time is over. It is measured without the times in which nobody swept, so that a clock that jumps ahead frees no
-- key early: only a sweep frees keys, and it subtracts the gap since the one before first.
Q.duties[#Q.duties + 1] = function(sweep)
  local swept_at, still = tonumber(redis.call('HGET', Q.QUEUE, 'swept_at')), Q.stood_still()
  -- Far more than what lies between two sweeps of a busy machine.
  if swept_at and Q.NOW - swept_at > sweep.lease_ms then
    still = still + Q.NOW - swept_at
    redis.call('HSET', Q.QUEUE, 'stood_still', still)
  end
  local keys = redis.call('ZRANGEBYSCORE', Q.IDEMPOTENCY_ENDS, '-inf', Q.NOW - still, 'LIMIT', 0, sweep.slice)
  Q.call_sliced('HDEL', Q.IDEMPOTENCY, keys)
  Q.call_sliced('ZREM', Q.IDEMPOTENCY_ENDS, keys)
  local following = redis.call('ZRANGE', Q.IDEMPOTENCY_ENDS, 0, 0, 'WITHSCORES')
  if following[2] then sweep.again_at(tonumber(following[2]) + still) end
end
