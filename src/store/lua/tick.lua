-- Ticks of schedules: whichever worker comes first makes the task of a tick and plans the next one; the others change nothing.
-- ARGV, for each tick: name of the schedule; the time for which it is planned, as the sweep answered it ('' = it is not);
--       digest of the definition it was read with ('' = there is none); the next time ('' = none);
--       ticks that are skipped by this (count_skipped), or '';
--       id, content, lane and JSON of `more` (accept.lua) of its task; id '' = this tick makes none
-- Reply: for each 'ticked', or 'stale' when another worker did it or the schedule was changed

local ids = {}
for at = 6, #ARGV, 9 do
  if ARGV[at] ~= '' then ids[#ids + 1] = ARGV[at] end
end
Q.load(Q.CONTENTS, Q.contents, ids)

local function tick(at)
  local name, due, next_due, id = ARGV[at], ARGV[at + 1], ARGV[at + 3], ARGV[at + 5]
  if (redis.call('ZSCORE', Q.TICKS, name) or '') ~= due or not Q.is_as_read(name, ARGV[at + 2]) then return 'stale' end
  if next_due == '' then redis.call('ZREM', Q.TICKS, name) else Q.plan_tick(name, next_due) end
  if ARGV[at + 4] ~= '' then Q.count_skipped(name, ARGV[at + 4]) end
  if id ~= '' then
    Q.accept(id, ARGV[at + 6], ARGV[at + 7], Q.is_made_now(id), cjson.decode(ARGV[at + 8]))
    redis.call('HSET', Q.LAST_RUNS, name, due .. ' ' .. id)
  end
  return 'ticked'
end

local words, were_due = {}, 0
for at = 1, #ARGV, 9 do
  if (tonumber(ARGV[at + 1]) or math.huge) <= Q.WALL then were_due = were_due + 1 end
  words[#words + 1] = tick(at)
end
-- Sweeps may name the ticks behind them as the first ones now.
if were_due > 0 then redis.call('HINCRBY', Q.CONTROL, 'ticks_named', -were_due) end
if #ids > 0 then Q.push_accepted() end
Q.commit()
return words
