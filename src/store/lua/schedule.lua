-- Writes or deletes a schedule.
-- ARGV: name, definition ('' = delete), its next due time as time of day ('' = none, it is paused)
-- Reply: 'created', 'replaced', 'deleted' or 'unknown'

local name, definition, next_due = ARGV[1], ARGV[2], ARGV[3]
redis.call('ZREM', Q.TICKS, name)
if definition == '' then
  redis.call('HDEL', Q.BASE .. ':lastrun', name)
  return redis.call('HDEL', Q.BASE .. ':schedules', name) == 1 and 'deleted' or 'unknown'
end
local created = redis.call('HSET', Q.BASE .. ':schedules', name, definition) == 1
if next_due ~= '' then
  redis.call('ZADD', Q.TICKS, next_due, name)
  Q.wake_at(tonumber(next_due) + Q.NOW - Q.WALL)
end
return created and 'created' or 'replaced'
