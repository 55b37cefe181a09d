-- Plans of schedules that may be wrong.

-- Schedules whose plan one sweep has checked. Redis answers small hashes as a whole.
Q.CHECKED_AT_ONCE = 20
-- How often all plans are checked, beside each time when the clock was set back.
Q.CHECK_EVERY_MS = 3600000

-- Name, planned time (or nothing) and definition of some schedules, going once through all of them, a few a sweep: whether their
-- ticks are further away than they may be, or missing.
Q.duties[#Q.duties + 1] = function(sweep)
  if not sweep.wants_ticks then return end
  local seen = redis.call('HMGET', Q.QUEUE, 'plans_cursor', 'plans_checked', 'set_back')
  local cursor, checked_at = seen[1], tonumber(seen[2])
  if seen[3] or not checked_at or Q.WALL < checked_at or Q.WALL - checked_at > Q.CHECK_EVERY_MS then
    cursor = '0'
    redis.call('HSET', Q.QUEUE, 'plans_checked', Q.WALL)
    redis.call('HDEL', Q.QUEUE, 'set_back')
  elseif not cursor then
    return
  end
  local reply = redis.call('HSCAN', Q.SCHEDULES, cursor, 'COUNT', Q.CHECKED_AT_ONCE)
  if reply[1] == '0' then
    redis.call('HDEL', Q.QUEUE, 'plans_cursor')
  else
    redis.call('HSET', Q.QUEUE, 'plans_cursor', reply[1])
    sweep.again_at(Q.NOW)
  end
  local plans = sweep.plans
  for at = 1, #reply[2], 2 do
    local name = reply[2][at]
    plans[#plans + 1], plans[#plans + 2], plans[#plans + 3] = name, redis.call('ZSCORE', Q.TICKS, name), reply[2][at + 1]
  end
end
