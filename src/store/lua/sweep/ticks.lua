-- Ticks that are due. The sweep names them and changes none: the worker that swept reads the definitions,
-- computes what comes next, and calls tick.lua.

-- What one sweep answers of definitions at most; one of them at least.
Q.DEFINITION_BYTES = 1000000
-- Ticks that a sweep has named are left to its worker for so long; tick.lua says sooner that they are run.
Q.NAMED_FOR_MS = 500

-- How many ticks, the first of those that are due, other sweeps have named just now.
local function named_ticks()
  local seen = redis.call('HMGET', Q.QUEUE, 'ticks_named', 'ticks_named_at')
  local is_past = Q.NOW - (tonumber(seen[2]) or 0) >= Q.NAMED_FOR_MS
  return is_past and 0 or math.max(0, tonumber(seen[1]) or 0)
end

-- Name, time and definition of ticks that are due, in the order of their times, a slice at most; and the time of day that says how
-- late they are: the one at which the sweeps began that have found more than one slice, one after the other, since then.
Q.duties[#Q.duties + 1] = function(sweep)
  if not sweep.wants_ticks then return end
  local named = named_ticks()
  local found = redis.call('ZRANGEBYSCORE', Q.TICKS, '-inf', Q.WALL, 'WITHSCORES', 'LIMIT', named, sweep.slice)
  local ticks, bytes = {}, 0
  for at = 1, #found, 2 do
    local definition = redis.call('HGET', Q.SCHEDULES, found[at])
    ticks[#ticks + 1], ticks[#ticks + 2], ticks[#ticks + 3] = found[at], found[at + 1], definition
    bytes = bytes + (definition and #definition or 0)
    if bytes > Q.DEFINITION_BYTES then break end
  end
  local following = redis.call('ZRANGEBYSCORE', Q.TICKS, '(' .. Q.WALL, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  if following[2] then sweep.again_at(tonumber(following[2]) + Q.NOW - Q.WALL) end
  if #ticks > 0 then
    named = named + #ticks / 3
    redis.call('HSET', Q.QUEUE, 'ticks_named', named, 'ticks_named_at', Q.NOW)
  end

  local behind_since = tonumber(redis.call('HGET', Q.QUEUE, 'behind_since'))
  if #ticks > 0 and redis.call('ZCOUNT', Q.TICKS, '-inf', Q.WALL) > named then
    sweep.again_at(Q.NOW)
    if not behind_since then redis.call('HSET', Q.QUEUE, 'behind_since', Q.WALL) end
  elseif behind_since then
    redis.call('HDEL', Q.QUEUE, 'behind_since')
  end
  sweep.ticks, sweep.late_since = ticks, math.min(behind_since or Q.WALL, Q.WALL)
end
