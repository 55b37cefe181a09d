-- Keeps a queue whole. Each part does at most one slice; what is left over makes the next sweep due at once.
-- Gated: a call before the planned time answers how long to wait, so many workers do the work of one.
-- ARGV: lease in ms, slice, grace of an unclaimed pop in ms, retention in ms, retention in bytes (0 = without limit),
--       longest time between sweeps in ms
-- Reply: ms until the next sweep; the time of day in ms; what was done: due, returned, poisoned, repaired, expired, removed;
--        then name and due time of each schedule that has a tick to run

local lease_ms, slice, grace_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local retention_ms, retention_bytes, period_ms = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])

local planned = tonumber(control[4]) or 0
if NOW < planned and planned - NOW <= period_ms then return { planned - NOW, WALL, { 0, 0, 0, 0, 0, 0 }, {} } end

local done = { due = 0, returned = 0, poisoned = 0, repaired = 0, expired = 0, removed = 0 }
local next_at = NOW + period_ms
local function again_at(time)
  if time < next_at then next_at = time end
end

-- The lease clock stands still while Redis does: after a gap in the sweeps nobody could renew a lease either.
local function leases_may_expire()
  local seen = redis.call('HMGET', CONTROL, 'swept_at', 'leases_hold_until')
  local swept_at, hold_until = tonumber(seen[1]), tonumber(seen[2]) or 0
  if swept_at and NOW - swept_at > lease_ms / 2 then
    hold_until = NOW + lease_ms
    redis.call('HSET', CONTROL, 'leases_hold_until', hold_until)
  end
  if NOW < hold_until then again_at(hold_until) end
  return NOW >= hold_until
end

local function move_due()
  local ids = redis.call('ZRANGEBYSCORE', LATER, '-inf', NOW, 'LIMIT', 0, slice)
  for _, id in ipairs(ids) do
    local record = redis.call('HMGET', task_key(id), F.state, F.lane, F.message, F.claims)
    if record[1] == 'scheduled' then
      move(id, 'scheduled', 'ready', {})
      push('LPUSH', record[2] or 'normal', id, record[3], record[4] or '0')
      done.due = done.due + 1
    end
  end
  call_sliced('ZREM', LATER, ids)
  local following = redis.call('ZRANGE', LATER, 0, 0, 'WITHSCORES')
  if following[2] then again_at(tonumber(following[2])) end
end

local function give_back(id, worker)
  local record = redis.call('HMGET', task_key(id), F.lane, F.message, F.claims, F.crashes, F.cancel, F.started, F.worker,
    F.state)
  if record[8] ~= 'running' or record[7] ~= worker then return end
  local state = after_crash(id, record, LOST_ERROR)
  if state == 'ready' then done.returned = done.returned + 1 end
  if state == 'dead' then done.poisoned = done.poisoned + 1 end
end

local function expire_workers()
  local budget = slice
  local lost = redis.call('ZRANGEBYSCORE', WORKERS, '-inf', NOW, 'LIMIT', 0, slice)
  for _, worker in ipairs(lost) do
    if budget == 0 then break end
    local ids = redis.call('SPOP', running_key(worker), budget)
    budget = budget - #ids
    for _, id in ipairs(ids) do give_back(id, worker) end
    if redis.call('EXISTS', running_key(worker)) == 0 then redis.call('ZREM', WORKERS, worker) end
  end
  local following = redis.call('ZRANGE', WORKERS, 0, 0, 'WITHSCORES')
  if following[2] then again_at(tonumber(following[2])) end
end

-- Whatever stands in the ledger behind the tail of `ready` was popped. What of it is still ready at the claim number
-- it was pushed with was never claimed: the reply of the pop, or the worker, got lost. After the grace it is pushed again.
local function check_ledger(lane, suspects)
  local tail = redis.call('LINDEX', ready_key(lane), -1)
  local tail_id = tail and id_of(tail)
  local entries = redis.call('LRANGE', ledger_key(lane), -slice, -1)
  local walked, waiting, lost = 0, {}, {}
  for at = #entries, 1, -1 do
    local entry = entries[at]
    local id, claims = string.sub(entry, 1, 36), string.sub(entry, 38)
    if id == tail_id then break end
    walked = walked + 1
    local record = redis.call('HMGET', task_key(id), F.message, F.state, F.claims)
    if state_of(record[1], record[2]) == 'ready' and (record[3] or '0') == claims then
      local seen_at = tonumber(redis.call('HGET', suspects.old, entry)) or NOW
      if NOW - seen_at >= grace_ms then
        lost[#lost + 1] = { id = id, message = record[1], claims = claims }
      else
        waiting[#waiting + 1] = entry
        suspects.new[#suspects.new + 1], suspects.new[#suspects.new + 2] = entry, seen_at
        again_at(seen_at + grace_ms)
      end
    end
  end
  if walked == 0 then return end
  if walked == #entries and walked == slice and #waiting < slice then again_at(NOW) end
  redis.call('RPOP', ledger_key(lane), walked)
  -- Oldest last, so that it stands at the tail; entries that wait have no message in `ready` and go behind those that have.
  for at = #lost, 1, -1 do push('RPUSH', lane, lost[at].id, lost[at].message, lost[at].claims) end
  for at = #waiting, 1, -1 do redis.call('RPUSH', ledger_key(lane), waiting[at]) end
  done.repaired = done.repaired + #lost
end

local function check_ledgers()
  local suspects = { old = BASE .. ':suspects', new = {} }
  for _, lane in ipairs(LANES) do check_ledger(lane, suspects) end
  redis.call('DEL', suspects.old)
  call_sliced('HSET', suspects.old, suspects.new)
end

-- Tasks that were not started in time, also when nobody pops them.
local function expire_unstarted()
  local ids = redis.call('ZRANGEBYSCORE', UNSTARTED, '-inf', NOW, 'LIMIT', 0, slice)
  for _, id in ipairs(ids) do
    local record = redis.call('HMGET', task_key(id), F.message, F.state, F.expires, F.claims)
    local state = state_of(record[1], record[2])
    local waits = (state == 'ready' or state == 'scheduled') and not record[4]
    if waits and record[3] and tonumber(record[3]) <= NOW then
      if state == 'scheduled' then redis.call('ZREM', LATER, id) end
      expire(id, state, record[1])
      done.expired = done.expired + 1
    end
  end
  call_sliced('ZREM', UNSTARTED, ids)
  local following = redis.call('ZRANGE', UNSTARTED, 0, 0, 'WITHSCORES')
  if following[2] then again_at(tonumber(following[2])) end
end

-- Drops the record of a finished task. A task that was replayed meanwhile stays.
local function remove(id)
  local record = redis.call('HMGET', task_key(id), F.state, F.bytes)
  if not record[1] or not TRANSITIONS[record[1]]['removed'] then return end
  move(id, record[1], 'removed')
  kept_bytes = kept_bytes - (tonumber(record[2]) or 0)
  done.removed = done.removed + 1
end

-- Finished tasks whose own time to live is over.
local function drop_kept()
  local ids = redis.call('ZRANGEBYSCORE', KEPT, '-inf', NOW, 'LIMIT', 0, slice)
  for _, id in ipairs(ids) do remove(id) end
  for _, list in ipairs({ KEPT, DONE, DEAD }) do call_sliced('ZREM', list, ids) end
  local following = redis.call('ZRANGE', KEPT, 0, 0, 'WITHSCORES')
  if following[2] then again_at(tonumber(following[2])) end
end

-- Finished tasks that are older than the fleet keeps them. Those with a longer time of their own leave the listing only.
local function drop_old(list)
  local ids = redis.call('ZRANGEBYSCORE', list, '-inf', NOW - retention_ms, 'LIMIT', 0, slice)
  for _, id in ipairs(ids) do
    if not redis.call('ZSCORE', KEPT, id) then remove(id) end
  end
  call_sliced('ZREM', list, ids)
  if #ids == slice then again_at(NOW) end
end

-- The oldest finished tasks, as long as all of them keep too much; dead ones only when no others are left.
local function drop_excess()
  if retention_bytes == 0 then return end
  local held = (tonumber(redis.call('HGET', BASE .. ':count', 'bytes')) or 0) + kept_bytes
  if held <= retention_bytes then return end
  local list = redis.call('EXISTS', DONE) == 1 and DONE or DEAD
  local dropped = {}
  for _, id in ipairs(redis.call('ZRANGE', list, 0, slice - 1)) do
    local before = kept_bytes
    remove(id)
    dropped[#dropped + 1] = id
    held = held + kept_bytes - before
    if held <= retention_bytes then break end
  end
  for _, one in ipairs({ list, KEPT }) do call_sliced('ZREM', one, dropped) end
  if held > retention_bytes and #dropped > 0 then again_at(NOW) end
end

-- Ticks are only named here: the worker that swept computes the next one, and tick.lua makes sure that it counts once.
local function due_ticks()
  local ticks = redis.call('ZRANGEBYSCORE', TICKS, '-inf', WALL, 'WITHSCORES', 'LIMIT', 0, slice)
  local following = redis.call('ZRANGEBYSCORE', TICKS, '(' .. WALL, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  if following[2] then again_at(tonumber(following[2]) + NOW - WALL) end
  return ticks
end

local may_expire = leases_may_expire()
move_due()
if may_expire then expire_workers() end
check_ledgers()
expire_unstarted()
drop_kept()
for _, list in ipairs({ DONE, DEAD }) do drop_old(list) end
drop_excess()
local ticks = due_ticks()
redis.call('HSET', CONTROL, 'swept_at', NOW, 'sweep_at', next_at)
commit()
return { math.max(0, next_at - NOW), WALL, { done.due, done.returned, done.poisoned, done.repaired, done.expired, done.removed },
  ticks }
