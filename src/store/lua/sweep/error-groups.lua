-- Groups of errors (lib/error-groups.lua) that no dead task has any more, once they are older than the fleet keeps finished tasks.
Q.duties[#Q.duties + 1] = function(sweep)
  if Q.control[7] and redis.call('EXISTS', Q.TERMS) == 0 then redis.call('HDEL', Q.QUEUE, 'searched') end
  local before = Q.NOW - sweep.retention_ms
  -- The first of those that are old may have dead tasks that are kept for longer: the next sweep goes on behind them.
  local passed = tonumber(redis.call('HGET', Q.QUEUE, 'groups_passed')) or 0
  local old = redis.call('ZRANGEBYSCORE', Q.ERROR_GROUPS_SEEN, '-inf', before, 'LIMIT', passed, sweep.slice)
  local dropped = {}
  for _, fingerprint in ipairs(old) do
    local term = 'fingerprint=' .. fingerprint
    if redis.call('ZLEXCOUNT', Q.SEARCH, '[' .. term .. ' ', '(' .. term .. '!') == 0 then dropped[#dropped + 1] = fingerprint end
  end
  Q.call_sliced('HDEL', Q.ERROR_GROUPS, dropped)
  Q.call_sliced('ZREM', Q.ERROR_GROUPS_SEEN, dropped)
  Q.call_sliced('HDEL', Q.ERROR_GROUPS_IGNORED, dropped)
  if #old == sweep.slice then
    redis.call('HSET', Q.QUEUE, 'groups_passed', passed + #old - #dropped)
    return sweep.again_at(Q.NOW)
  end
  if passed > 0 then redis.call('HDEL', Q.QUEUE, 'groups_passed') end
  local following = redis.call('ZRANGEBYSCORE', Q.ERROR_GROUPS_SEEN, '(' .. before, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  if following[2] then sweep.again_at(tonumber(following[2]) + sweep.retention_ms) end
end
