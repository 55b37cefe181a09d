-- Keeps a queue whole. Each part does at most one slice; what is left over makes the next sweep due at once.
-- Gated: a call before the planned time answers how long to wait, so many workers do the work of one.
-- ARGV: lease in ms, slice, grace of an unclaimed pop in ms, retention in ms, retention in bytes (0 = without limit),
--       longest time between sweeps in ms, whether ticks of schedules are wanted (1 or 0)
-- Reply: ms until the next sweep; the time of day in ms; what was done: due, returned, poisoned, repaired, expired, removed;
--        ticks that are due, the time that says how late they are, and plans to check (sweep-ticks.lua); ms that the clock of the
--        scripts is ahead of the time of day

local lease_ms, slice, grace_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local retention_ms, retention_bytes, period_ms = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])

local planned = tonumber(Q.control[4]) or 0
if Q.NOW < planned and planned - Q.NOW <= period_ms then
  return { planned - Q.NOW, Q.WALL, { 0, 0, 0, 0, 0, 0 }, {}, Q.WALL, {}, Q.NOW - Q.WALL }
end

local swept = { due = 0, returned = 0, poisoned = 0, repaired = 0, expired = 0, removed = 0 }
local next_at = Q.NOW + period_ms
local function again_at(time)
  if time < next_at then next_at = time end
end

-- Leases up to this time have run out. The lease clock stands still while Redis does: after a gap in the sweeps no worker could
-- renew its lease either, so for one lease none runs out. But the gap may also mean that no worker was alive. So a lease that an
-- earlier gap has spared, and that was not renewed although the sweeps went on after it, is not spared again: else the tasks of a
-- fleet that dies again and again would wait for ever. A lease renewed after `gap_at` ends no earlier than one lease later.
local function leases_run_out_until()
  local seen = redis.call('HMGET', Q.CONTROL, 'swept_at', 'leases_hold_until', 'gap_at', 'leases_lost_before')
  local swept_at, hold_until = tonumber(seen[1]), tonumber(seen[2]) or 0
  local gap_at, lost_before = tonumber(seen[3]), tonumber(seen[4]) or 0
  if swept_at and Q.NOW - swept_at > lease_ms / 2 then
    hold_until = Q.NOW + lease_ms
    if not gap_at or swept_at - gap_at >= period_ms then
      lost_before = gap_at and gap_at + lease_ms or 0
      gap_at = Q.NOW
    end
    redis.call('HSET', Q.CONTROL, 'leases_hold_until', hold_until, 'gap_at', gap_at, 'leases_lost_before', lost_before)
  end
  if Q.NOW >= hold_until then return Q.NOW end
  again_at(hold_until)
  return math.min(Q.NOW, lost_before - 1)
end

local function move_due()
  local ids = redis.call('ZRANGEBYSCORE', Q.LATER, '-inf', Q.NOW, 'LIMIT', 0, slice)
  Q.load_tasks(ids)
  for _, id in ipairs(ids) do
    local task = Q.read_task(id)
    if task and task.state == 'scheduled' then
      Q.move_task(id, task, 'ready')
      Q.push('LPUSH', task.lane, id, task.claims)
      swept.due = swept.due + 1
    end
  end
  Q.call_sliced('ZREM', Q.LATER, ids)
  local following = redis.call('ZRANGE', Q.LATER, 0, 0, 'WITHSCORES')
  if following[2] then again_at(tonumber(following[2])) end
end

local function give_back(id, worker, cancelled)
  local task = Q.read_task(id)
  if not task or task.state ~= 'running' or task.worker ~= worker then return end
  local state = Q.after_lost_lease(id, task, cancelled)
  if state == 'ready' then swept.returned = swept.returned + 1 end
  if state == 'dead' then swept.poisoned = swept.poisoned + 1 end
end

local function expire_workers()
  local budget = slice
  local until_time = leases_run_out_until()
  local lost = redis.call('ZRANGEBYSCORE', Q.WORKERS, '-inf', until_time, 'LIMIT', 0, slice)
  for _, worker in ipairs(lost) do
    if budget == 0 then break end
    local ids = redis.call('SPOP', Q.running_key(worker), budget)
    budget = budget - #ids
    local cancels = {}
    Q.load_tasks(ids)
    Q.load(Q.CANCELS, cancels, ids)
    for _, id in ipairs(ids) do give_back(id, worker, cancels[id]) end
    if redis.call('EXISTS', Q.running_key(worker)) == 0 then
      redis.call('ZREM', Q.WORKERS, worker)
      redis.call('HDEL', Q.ANNOUNCED, worker)
    end
  end
  local following = redis.call('ZRANGE', Q.WORKERS, 0, 0, 'WITHSCORES')
  -- One that is spared is looked at again when that is over.
  local ends_at = tonumber(following[2])
  if ends_at and (ends_at <= until_time or ends_at > Q.NOW) then again_at(ends_at) end
end

-- Whatever stands in the ledger behind the tail of `ready` was popped. What of it is still ready at the claim number
-- it was pushed with was never claimed: the reply of the pop, or the worker, got lost. After the grace it is pushed again.
local function check_ledger(lane, suspects)
  local tail = redis.call('LINDEX', Q.ready_key(lane), -1)
  local tail_id = tail and Q.id_of(tail)
  local entries = redis.call('LRANGE', Q.ledger_key(lane), -slice, -1)
  local behind = {}
  for at = #entries, 1, -1 do
    local id = string.sub(entries[at], 1, 36)
    if id == tail_id then break end
    behind[#behind + 1] = { entry = entries[at], id = id, claims = tonumber(string.sub(entries[at], 38)) or 0 }
  end
  if #behind == 0 then return end
  local ids, waiting, lost = {}, {}, {}
  for at, one in ipairs(behind) do ids[at] = one.id end
  Q.load_tasks(ids)
  for _, one in ipairs(behind) do
    local task = Q.read_task(one.id)
    if task and task.state == 'ready' and task.claims == one.claims then
      local seen_at = tonumber(redis.call('HGET', suspects.old, one.entry)) or Q.NOW
      if Q.NOW - seen_at >= grace_ms then
        lost[#lost + 1] = one
      else
        waiting[#waiting + 1] = one.entry
        suspects.new[#suspects.new + 1], suspects.new[#suspects.new + 2] = one.entry, seen_at
        again_at(seen_at + grace_ms)
      end
    end
  end
  if #behind == #entries and #behind == slice and #waiting < slice then again_at(Q.NOW) end
  redis.call('RPOP', Q.ledger_key(lane), #behind)
  -- Oldest last, so that it stands at the tail; entries that wait have no message in `ready` and go behind those that have.
  for at = #lost, 1, -1 do Q.push('RPUSH', lane, lost[at].id, lost[at].claims) end
  for at = #waiting, 1, -1 do redis.call('RPUSH', Q.ledger_key(lane), waiting[at]) end
  swept.repaired = swept.repaired + #lost
end

local function check_ledgers()
  local suspects = { old = Q.BASE .. ':suspects', new = {} }
  for _, lane in ipairs(Q.LANES) do check_ledger(lane, suspects) end
  redis.call('DEL', suspects.old)
  Q.call_sliced('HSET', suspects.old, suspects.new)
end

-- Tasks that were not started in time, also when nobody pops them.
local function expire_unstarted()
  local ids = redis.call('ZRANGEBYSCORE', Q.UNSTARTED, '-inf', Q.NOW, 'LIMIT', 0, slice)
  Q.load_tasks(ids)
  for _, id in ipairs(ids) do
    local task = Q.read_task(id)
    if task and task.claims == 0 and (task.state == 'ready' or task.state == 'scheduled') then
      if task.state == 'scheduled' then redis.call('ZREM', Q.LATER, id) end
      Q.expire(id, task)
      swept.expired = swept.expired + 1
    end
  end
  Q.call_sliced('ZREM', Q.UNSTARTED, ids)
  local following = redis.call('ZRANGE', Q.UNSTARTED, 0, 0, 'WITHSCORES')
  if following[2] then again_at(tonumber(following[2])) end
end

-- Drops the row of a finished task. A task that was replayed meanwhile stays.
local function remove(id, task)
  -- A later release may know more states.
  local moves = task and Q.TRANSITIONS[task.state]
  if not moves or not moves['removed'] then return end
  Q.move(id, task.state, 'removed')
  Q.kept_bytes = Q.kept_bytes - task.bytes
  swept.removed = swept.removed + 1
end

-- Finished tasks whose own time to live is over.
local function drop_kept()
  local ids = redis.call('ZRANGEBYSCORE', Q.KEPT, '-inf', Q.NOW, 'LIMIT', 0, slice)
  Q.load_tasks(ids)
  for _, id in ipairs(ids) do remove(id, Q.read_task(id)) end
  for _, list in ipairs({ Q.KEPT, Q.DEAD }) do Q.call_sliced('ZREM', list, ids) end
  local following = redis.call('ZRANGE', Q.KEPT, 0, 0, 'WITHSCORES')
  if following[2] then again_at(tonumber(following[2])) end
end

-- Finished tasks that are older than the fleet keeps them. Those with a longer time of their own leave the listing only.
local function drop_old_done()
  local ids = redis.call('LRANGE', Q.DONE, 0, slice - 1)
  Q.load_tasks(ids)
  local dropped = 0
  for _, id in ipairs(ids) do
    local task = Q.read_task(id)
    -- One that is gone already, or back as another program pushed it again, had a time to live of its own.
    if task and task.finished and task.finished > Q.NOW - retention_ms then break end
    dropped = dropped + 1
    if task and not redis.call('ZSCORE', Q.KEPT, id) then remove(id, task) end
  end
  if dropped > 0 then redis.call('LPOP', Q.DONE, dropped) end
  if dropped == slice then again_at(Q.NOW) end
end

local function drop_old_dead()
  local ids = redis.call('ZRANGEBYSCORE', Q.DEAD, '-inf', Q.NOW - retention_ms, 'LIMIT', 0, slice)
  Q.load_tasks(ids)
  for _, id in ipairs(ids) do
    if not redis.call('ZSCORE', Q.KEPT, id) then remove(id, Q.read_task(id)) end
  end
  Q.call_sliced('ZREM', Q.DEAD, ids)
  if #ids == slice then again_at(Q.NOW) end
end

-- The oldest finished tasks, as long as all of them keep too much; dead ones only when no others are left.
local function drop_excess()
  if retention_bytes == 0 then return end
  local held = (tonumber(redis.call('HGET', Q.BASE .. ':count', 'bytes')) or 0) + Q.kept_bytes
  if held <= retention_bytes then return end
  local from_done = redis.call('EXISTS', Q.DONE) == 1
  local ids = from_done and redis.call('LRANGE', Q.DONE, 0, slice - 1) or redis.call('ZRANGE', Q.DEAD, 0, slice - 1)
  Q.load_tasks(ids)
  local dropped = {}
  for _, id in ipairs(ids) do
    local before = Q.kept_bytes
    remove(id, Q.read_task(id))
    dropped[#dropped + 1] = id
    held = held + Q.kept_bytes - before
    if held <= retention_bytes then break end
  end
  if #dropped == 0 then return end
  if from_done then redis.call('LPOP', Q.DONE, #dropped) else Q.call_sliced('ZREM', Q.DEAD, dropped) end
  Q.call_sliced('ZREM', Q.KEPT, dropped)
  if held > retention_bytes then again_at(Q.NOW) end
end

move_due()
expire_workers()
check_ledgers()
expire_unstarted()
drop_kept()
drop_old_done()
drop_old_dead()
drop_excess()
local ticks, late_since, plans = {}, Q.WALL, {}
if ARGV[7] == '1' then
  ticks, late_since = Q.due_ticks(slice, again_at)
  plans = Q.plans_to_check(again_at)
end
redis.call('HSET', Q.CONTROL, 'swept_at', Q.NOW, 'sweep_at', next_at)
Q.commit()
return { math.max(0, next_at - Q.NOW), Q.WALL, { swept.due, swept.returned, swept.poisoned, swept.repaired, swept.expired, swept.removed },
  ticks, late_since, plans, Q.NOW - Q.WALL }
