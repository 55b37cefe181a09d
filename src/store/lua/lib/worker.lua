-- Workers by the time their lease runs out (WORKERS), what each says of itself (ANNOUNCED), what a person wants of it (ORDERS), and what
-- is kept of it beside.

function Q.renew_lease(worker, lease_ms)
  redis.call('ZADD', Q.WORKERS, Q.NOW + lease_ms, worker)
end

-- A worker may have begun whatever it holds, unless it says what it has not (BEGUN): then nothing that was claimed after that time, in ms.
-- `word` is '' = nothing has changed since it said so last, 'all' = whatever it holds, or the time.
function Q.note_begun(worker, word)
  if word == '' then return end
  if word == 'all' then return redis.call('HDEL', Q.BEGUN, worker) end
  redis.call('HSET', Q.BEGUN, worker, word)
end

function Q.forget_worker(worker)
  redis.call('ZREM', Q.WORKERS, worker)
  redis.call('HDEL', Q.ANNOUNCED, worker)
  redis.call('HDEL', Q.ORDERS, worker)
  redis.call('HDEL', Q.HOLDS, worker)
  redis.call('HDEL', Q.BEGUN, worker)
  redis.call('HDEL', Q.HANDS, worker)
  redis.call('ZREM', Q.IDLE, worker)
  redis.call('ZREM', Q.UNHEARD, worker)
end
