-- The part of the sweep that is about schedules. It names ticks and changes none: the worker that swept reads the definitions,
-- computes what comes next, and calls tick.lua.

-- What one sweep answers of definitions at most; one of them at least.
Q.DEFINITION_BYTES = 1000000
-- Schedules whose plan one sweep has checked. Redis answers small hashes as a whole.
Q.CHECKED_AT_ONCE = 20
-- How often all plans are checked, beside each time when the clock was set back.
Q.CHECK_EVERY_MS = 3600000

-- Ticks that a sweep has named are left to its worker for so long; tick.lua says sooner that they are run.
Q.NAMED_FOR_MS = 500

-- How many ticks, the first of those that are due, other sweeps have named just now.
function Q.named_ticks()
  local seen = redis.call('HMGET', Q.CONTROL, 'ticks_named', 'ticks_named_at')
  local is_past = Q.NOW - (tonumber(seen[2]) or 0) >= Q.NAMED_FOR_MS
  return is_past and 0 or math.max(0, tonumber(seen[1]) or 0)
end

-- Name, time and definition of ticks that are due, in the order of their times, a slice at most; and the time of day that says how
-- late they are: the one at which the sweeps began that have found more than one slice, one after the other, since then.
function Q.due_ticks(slice, again_at)
  local named = Q.named_ticks()
  local found = redis.call('ZRANGEBYSCORE', Q.TICKS, '-inf', Q.WALL, 'WITHSCORES', 'LIMIT', named, slice)
  local ticks, bytes = {}, 0
  for at = 1, #found, 2 do
    local definition = redis.call('HGET', Q.SCHEDULES, found[at])
    ticks[#ticks + 1], ticks[#ticks + 2], ticks[#ticks + 3] = found[at], found[at + 1], definition
    bytes = bytes + (definition and #definition or 0)
    if bytes > Q.DEFINITION_BYTES then break end
  end
  local following = redis.call('ZRANGEBYSCORE', Q.TICKS, '(' .. Q.WALL, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  if following[2] then again_at(tonumber(following[2]) + Q.NOW - Q.WALL) end
  if #ticks > 0 then
    named = named + #ticks / 3
    redis.call('HSET', Q.CONTROL, 'ticks_named', named, 'ticks_named_at', Q.NOW)
  end

  local behind_since = tonumber(redis.call('HGET', Q.CONTROL, 'behind_since'))
  if #ticks > 0 and redis.call('ZCOUNT', Q.TICKS, '-inf', Q.WALL) > named then
    again_at(Q.NOW)
    if not behind_since then redis.call('HSET', Q.CONTROL, 'behind_since', Q.WALL) end
  elseif behind_since then
    redis.call('HDEL', Q.CONTROL, 'behind_since')
  end
  return ticks, math.min(behind_since or Q.WALL, Q.WALL)
end

-- Name, planned time (or nothing) and definition of some schedules, going once through all of them, a few a sweep: whether their
-- ticks are further away than they may be, or missing.
function Q.plans_to_check(again_at)
  local seen = redis.call('HMGET', Q.CONTROL, 'plans_cursor', 'plans_checked', 'set_back')
  local cursor, checked_at = seen[1], tonumber(seen[2])
  if seen[3] or not checked_at or Q.WALL < checked_at or Q.WALL - checked_at > Q.CHECK_EVERY_MS then
    cursor = '0'
    redis.call('HSET', Q.CONTROL, 'plans_checked', Q.WALL)
    redis.call('HDEL', Q.CONTROL, 'set_back')
  elseif not cursor then
    return {}
  end
  local reply = redis.call('HSCAN', Q.SCHEDULES, cursor, 'COUNT', Q.CHECKED_AT_ONCE)
  if reply[1] == '0' then
    redis.call('HDEL', Q.CONTROL, 'plans_cursor')
  else
    redis.call('HSET', Q.CONTROL, 'plans_cursor', reply[1])
    again_at(Q.NOW)
  end
  local plans = {}
  for at = 1, #reply[2], 2 do
    local name = reply[2][at]
    plans[#plans + 1], plans[#plans + 2], plans[#plans + 3] = name, redis.call('ZSCORE', Q.TICKS, name), reply[2][at + 1]
  end
  return plans
end
