-- Ticks of schedules: whichever worker comes first makes the task of a tick and plans the next one; the others change nothing.
-- ARGV, for each tick: name of the schedule; the time for which it is planned, as the sweep answered it ('' = it is not);
--       digest of the definition it was read with ('' = there is none); the next time ('' = none);
--       ticks that are skipped by this (count_skipped), or '';
--       id, content, lane and JSON of the extras (lib/extras.lua) of its task; id '' = this tick makes none
-- Reply: for each 'ticked', or 'stale' when another worker did it or the schedule was changed

local ticks, ids, were_due = {}, {}, 0
while args.are_left() do
  local one = {
    name = args.text(), due = args.text(), digest = args.text(), next_due = args.text(), skipped = args.text(),
    id = args.text(), content = args.text(), lane = args.text(), extras = args.text(),
  }
  ticks[#ticks + 1] = one
  if one.id ~= '' then ids[#ids + 1] = one.id end
  if (tonumber(one.due) or math.huge) <= Q.WALL then were_due = were_due + 1 end
end
Q.load(Q.CONTENTS, Q.contents, ids)

local function tick(one)
  local name = one.name
  if (redis.call('ZSCORE', Q.TICKS, name) or '') ~= one.due or not Q.is_as_read(name, one.digest) then return 'stale' end
  if one.next_due == '' then redis.call('ZREM', Q.TICKS, name) else Q.plan_tick(name, one.next_due) end
  if one.skipped ~= '' then Q.count_skipped(name, one.skipped) end
  if one.id ~= '' then
    Q.gather(one.id, one.content, one.lane, cjson.decode(one.extras))
    redis.call('HSET', Q.LAST_RUNS, name, one.due .. ' ' .. one.id)
  end
  return 'ticked'
end

local words = {}
for at, one in ipairs(ticks) do words[at] = tick(one) end
-- Sweeps may name the ticks behind them as the first ones now.
if were_due > 0 then redis.call('HINCRBY', Q.QUEUE, 'ticks_named', -were_due) end
Q.accept_gathered()
Q.commit()
return words
