-- One tick of a schedule: whichever worker comes first enqueues its task and plans the next tick; the others change nothing.
-- ARGV: schedule name, the due time it was read with, the next due time ('' = none), both as time of day,
--       id, content, lane and JSON of `more` (accept.lua) of its task; id '' = a missed tick that does not run
-- Reply: 'ticked', or 'stale' when somebody else did it or the schedule was changed

local name, due, next_due = ARGV[1], ARGV[2], ARGV[3]
local planned = redis.call('ZSCORE', TICKS, name)
if not planned or tonumber(planned) ~= tonumber(due) then return 'stale' end

if next_due == '' then
  redis.call('ZREM', TICKS, name)
else
  redis.call('ZADD', TICKS, next_due, name)
  wake_at(tonumber(next_due) + NOW - WALL)
end
if ARGV[4] ~= '' then
  local id = ARGV[4]
  load(CONTENTS, contents, { id })
  accept(id, ARGV[5], ARGV[6], is_made_now(id), cjson.decode(ARGV[7]))
  redis.call('HSET', BASE .. ':lastrun', name, due .. ' ' .. id)
  push_accepted()
end
commit()
return 'ticked'
