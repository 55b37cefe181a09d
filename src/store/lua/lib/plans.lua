-- Schedules and their ticks, shared by schedule.lua, tick.lua and sweep.lua. Times are times of day (Q.WALL).

-- PARKED has of paused schedules the tick that would have come next when they were paused; SKIPPED how many ticks were dropped, then
-- the first and the last that were dropped most recently.

-- Whether the definition is still the one that the caller has read: `digest` is its sha1hex, '' = there was none.
function Q.is_as_read(name, digest)
  local definition = redis.call('HGET', Q.SCHEDULES, name)
  if not definition then return digest == '' end
  return redis.sha1hex(definition) == digest
end

function Q.plan_tick(name, due)
  redis.call('ZADD', Q.TICKS, due, name)
  Q.wake_at(tonumber(due) + Q.NOW - Q.WALL)
end

-- `skipped` is the number, the first and the last of them, with blanks between.
function Q.count_skipped(name, skipped)
  local number, which = string.match(skipped, '^(%d+) (.*)$')
  local before = string.match(redis.call('HGET', Q.SKIPPED, name) or '', '^(%d+) ') or 0
  redis.call('HSET', Q.SKIPPED, name, string.format('%.0f', before + number) .. ' ' .. which)
  redis.call('HINCRBY', Q.COUNT, 'dropped-ticks', number)
end
