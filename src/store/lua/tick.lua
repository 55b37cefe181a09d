-- One tick of a schedule: whichever worker comes first enqueues its task and plans the next tick; the others change nothing.
-- ARGV: schedule name, the due time it was read with, the next due time ('' = none), both as time of day,
--       id, content, lane and JSON of `more` (accept.lua) of its task; id '' = a missed tick that does not run
-- Reply: 'ticked', or 'stale' when somebody else did it or the schedule was changed

local name, due, next_due = ARGV[1], ARGV[2], ARGV[3]
local planned = redis.call('ZSCORE', Q.TICKS, name)
if not planned or tonumber(planned) ~= tonumber(due) then return 'stale' end

if next_due == '' then
  redis.call('ZREM', Q.TICKS, name)
else
  redis.call('ZADD', Q.TICKS, next_due, name)
  Q.wake_at(tonumber(next_due) + Q.NOW - Q.WALL)
end
if ARGV[4] ~= '' then
  local id = ARGV[4]
  Q.load(Q.CONTENTS, Q.contents, { id })
  Q.accept(id, ARGV[5], ARGV[6], Q.is_made_now(id), cjson.decode(ARGV[7]))
  redis.call('HSET', Q.BASE .. ':lastrun', name, due .. ' ' .. id)
  Q.push_accepted()
end
Q.commit()
return 'ticked'
