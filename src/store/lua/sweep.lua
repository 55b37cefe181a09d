-- Keeps a queue whole. Each duty (sweep/) does at most one slice; what is left over makes the next sweep due at once.
-- Gated: a call before the planned time answers how long to wait, so many workers do the work of one.
-- ARGV: lease in ms, slice, grace of an unclaimed pop in ms, retention in ms, retention in bytes (0 = without limit),
--       longest time between sweeps in ms, whether ticks of schedules are wanted (1 or 0), by how many ms this caller lets others
--       go first
-- Reply: ms until the next sweep; the time of day in ms; what was done: due, returned, poisoned, repaired, expired, removed;
--        ticks that are due, the time that says how late they are, and plans to check (sweep/ticks.lua); ms that the clock of the
--        scripts is ahead of the time of day; how many entries of the outbox are to be relayed (sweep/outbox.lua), and marks to
--        settle (sweep/marks.lua); 1 when a server should go on with an operation (sweep/operations.lua); steps whose workflow is to be
--        asked for, flat: id, home queue and id of the workflow, generation (sweep/workflows.lua); members of batches to look for, flat: batch and
--        first number with a blank between, their queues as JSON (sweep/batches.lua)

local counts = { due = 0, returned = 0, poisoned = 0, repaired = 0, expired = 0, removed = 0 }
-- What every duty gets.
local sweep = {
  lease_ms = args.number(), slice = args.number(), grace_ms = args.number(), retention_ms = args.number(),
  retention_bytes = args.number(), period_ms = args.number(), wants_ticks = args.number() == 1, late_ms = args.number(),
  counts = counts, ticks = {}, late_since = Q.WALL, plans = {}, to_relay = 0, marks = {}, unconfirmed = {}, unconfirmed_members = {},
}

-- There is something to do then.
function sweep.again_at(time)
  if time < sweep.next_at then sweep.next_at = time end
end

-- The first of a sorted set is due at its score, in ms of the scripts' clock.
function sweep.again_at_first(set)
  local first = redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')
  if first[2] then sweep.again_at(tonumber(first[2])) end
end

function sweep.remove(id)
  if Q.remove(id, Q.read_task(id)) then counts.removed = counts.removed + 1 end
end

-- Acts on one slice of the tasks that are due in a sorted set, takes them out, and plans the sweep of the next one. Their ids.
function sweep.each_due(set, act)
  local ids = redis.call('ZRANGEBYSCORE', set, '-inf', Q.NOW, 'LIMIT', 0, sweep.slice)
  Q.load_tasks(ids)
  Q.call_sliced('ZREM', set, ids)
  for _, id in ipairs(ids) do act(id, Q.read_task(id)) end
  sweep.again_at_first(set)
  return ids
end

local planned = (tonumber(Q.control[4]) or 0) + sweep.late_ms
if Q.NOW < planned and planned - Q.NOW <= sweep.period_ms + sweep.late_ms then
  sweep.next_at = planned
else
  sweep.next_at = Q.NOW + sweep.period_ms
  for _, duty in ipairs(Q.duties) do duty(sweep) end
  Q.deltas.repaired = counts.repaired
  redis.call('HSET', Q.QUEUE, 'swept_at', Q.NOW, 'sweep_at', sweep.next_at)
  Q.commit()
end
return {
  math.max(0, sweep.next_at - Q.NOW), Q.WALL,
  { counts.due, counts.returned, counts.poisoned, counts.repaired, counts.expired, counts.removed },
  sweep.ticks, sweep.late_since, sweep.plans, Q.NOW - Q.WALL, sweep.to_relay, sweep.marks,
  Q.is_operation_left() and 1 or 0, sweep.unconfirmed, sweep.unconfirmed_members,
}
