-- Workers whose lease has run out are forgotten, and their tasks given back.

-- Tasks that one sweep looks at, in slices, when few of them are of lost workers.
Q.LOOKED_AT_SLICES = 10

-- Leases up to this time have run out. The lease clock stands still while Redis does: after a gap in the sweeps no worker could
-- renew its lease either, so for one lease none runs out. But the gap may also mean that no worker was alive. So a lease that an
-- earlier gap has spared, and that was not renewed although the sweeps went on after it, is not spared again: else the tasks of a
-- fleet that dies again and again would wait for ever. A lease renewed after `gap_at` ends no earlier than one lease later.
local function leases_run_out_until(sweep)
  local seen = redis.call('HMGET', Q.QUEUE, 'swept_at', 'leases_hold_until', 'gap_at', 'leases_lost_before')
  local swept_at, hold_until = tonumber(seen[1]), tonumber(seen[2]) or 0
  local gap_at, lost_before = tonumber(seen[3]), tonumber(seen[4]) or 0
  if swept_at and Q.NOW - swept_at > sweep.lease_ms / 2 then
    hold_until = Q.NOW + sweep.lease_ms
    if not gap_at or swept_at - gap_at >= sweep.period_ms then
      lost_before = gap_at and gap_at + sweep.lease_ms or 0
      gap_at = Q.NOW
    end
    redis.call('HSET', Q.QUEUE, 'leases_hold_until', hold_until, 'gap_at', gap_at, 'leases_lost_before', lost_before)
  end
  if Q.NOW >= hold_until then return Q.NOW end
  sweep.again_at(hold_until)
  return math.min(Q.NOW, lost_before - 1)
end

-- People are told of a lost worker for so long.
Q.LOST_TOLD_MS = 300000

-- Keeps for people when the lease of a lost worker ran out, how many tasks it held then, and what it had said of itself. It is found
-- again by each sweep until all its tasks are given back: the first one counts.
local function note_lost(worker, lease_end)
  local noted = redis.call('HGET', Q.LOST, worker)
  if noted and string.match(noted, '^%d+') == lease_end then return end
  local all = redis.call('HGETALL', Q.LOST)
  for at = 1, #all, 2 do
    local ended_at = tonumber(string.match(all[at + 1], '^%d+'))
    if not ended_at or ended_at < Q.NOW - Q.LOST_TOLD_MS then redis.call('HDEL', Q.LOST, all[at]) end
  end
  local held = redis.call('HGET', Q.HOLDS, worker) or '0'
  local announced = redis.call('HGET', Q.ANNOUNCED, worker) or ''
  redis.call('HSET', Q.LOST, worker, lease_end .. ' ' .. held .. ' ' .. announced)
  redis.call('PEXPIRE', Q.LOST, Q.LOST_TOLD_MS)
end

-- Gives back what lost workers hold: a walk over all tasks that run, which goes on at the next sweep where this one has seen enough.
-- `begun_until` has for each of them the time up to which it may have begun what it claimed, `unheard` what was handed to it and not heard of.
-- Returns whether this part of it has seen all of them.
local function give_back(begun_until, unheard, sweep)
  local ids, looked_at = {}, 0
  local begin = redis.call('HGET', Q.QUEUE, 'running_cursor') or '0'
  local cursor = begin
  repeat
    local step = redis.call('SSCAN', Q.RUNNING, cursor, 'COUNT', sweep.slice)
    cursor, looked_at = step[1], looked_at + #step[2]
    Q.load(Q.HEADERS, Q.headers, step[2])
    for _, id in ipairs(step[2]) do
      local task = Q.headers[id] and Q.read_header(Q.headers[id])
      if task and task.state == 'running' and begun_until[task.worker] then ids[#ids + 1] = id end
    end
  until cursor == '0' or #ids >= sweep.slice or looked_at >= Q.LOOKED_AT_SLICES * sweep.slice
  if cursor == '0' then
    redis.call('HDEL', Q.QUEUE, 'running_cursor')
  else
    redis.call('HSET', Q.QUEUE, 'running_cursor', cursor)
    sweep.again_at(Q.NOW)
  end

  local cancels = Q.load_lost(ids)
  for _, id in ipairs(ids) do
    local task = Q.read_task(id)
    -- A walk may find a task twice.
    if task.state == 'running' then
      Q.let_go(task.worker, { id })
      local has_begun = tonumber(task.started) <= begun_until[task.worker] and not unheard[id .. ' ' .. task.claims]
      local state = Q.after_lost_lease(id, task, cancels[id], has_begun)
      if state == 'ready' then sweep.counts.returned = sweep.counts.returned + 1 end
      if state == 'dead' then sweep.counts.poisoned = sweep.counts.poisoned + 1 end
    end
  end
  return begin == '0' and cursor == '0'
end

Q.duties[#Q.duties + 1] = function(sweep)
  local until_time = leases_run_out_until(sweep)
  local scores = redis.call('ZRANGEBYSCORE', Q.WORKERS, '-inf', until_time, 'WITHSCORES', 'LIMIT', 0, sweep.slice)
  local lost = {}
  for at = 1, #scores, 2 do
    lost[#lost + 1] = scores[at]
    note_lost(scores[at], scores[at + 1])
  end
  if #lost > 0 then
    local begun_until, told, unheard = {}, redis.call('HMGET', Q.BEGUN, unpack(lost)), {}
    for at, worker in ipairs(lost) do
      local hands = Q.read_hands(worker)
      -- What is handed may begin at once, whatever was said before, but not before the worker has said that it has it.
      begun_until[worker] = told[at] and math.max(tonumber(told[at]), hands and tonumber(hands.at) or 0) or math.huge
      for id, claims in string.gmatch(hands and hands.unheard or '', ' %d+ (%S+) (%d+)') do unheard[id .. ' ' .. claims] = true end
    end
    local were_all_seen = give_back(begun_until, unheard, sweep)
    for _, worker in ipairs(lost) do
      if were_all_seen or (tonumber(redis.call('HGET', Q.HOLDS, worker)) or 0) <= 0 then Q.forget_worker(worker) end
    end
  end
  local following = redis.call('ZRANGE', Q.WORKERS, 0, 0, 'WITHSCORES')
  -- One that is spared is looked at again when that is over.
  local ends_at = tonumber(following[2])
  if ends_at and (ends_at <= until_time or ends_at > Q.NOW) then sweep.again_at(ends_at) end
end
