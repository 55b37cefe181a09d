-- Claiming, shared by claim.lua and finish.lua.

local taken, taken_ids = {}, {}
-- How many tasks of each lane this call has claimed, and which: their ledger entries are at the tail or near it.
local taken_of = {}

local function set_aside(message)
  redis.call('LPUSH', BASE .. ':malformed', message)
  count('malformed', 1)
  return false
end

-- Whether id and type are what `readEnvelope` in message.ts reads: a worker could do nothing with the message otherwise.
local function has_envelope(id, message)
  if not string.find(id, '^%x+%-%x+%-%x+%-%x+%-%x+$') then return false end
  for _, at in ipairs({ 9, 14, 19, 24 }) do
    if string.sub(id, at, at) ~= '-' then return false end
  end
  local head = string.byte(message, 41) or 0
  local from, length = 42, head - 0x60
  if head == 0x78 then
    from, length = 43, string.byte(message, 42) or 0
  elseif head > 0x78 then
    return false
  end
  local type = string.sub(message, from, from + length - 1)
  return length <= 64 and #type == length and string.find(type, '^[a-z][a-z0-9_.-]*$') ~= nil
end

-- A message without a record: from another program (whole), or what is left of a task that was removed (a reference).
local function adopt(id, lane, message)
  if string.byte(message, 1) == 0x83 then return false end
  if not has_envelope(id, message) then return set_aside(message) end
  local fields = { F.message, message, F.accepted, NOW }
  if lane ~= 'normal' then
    fields[5], fields[6] = F.lane, lane
  end
  redis.call('HSET', task_key(id), unpack(fields))
  count('accepted', 1)
  move(id, 'new', 'ready')
  return true
end

-- Marks one popped message as running under `worker`. Drops it when its task is not ready (cancelled, done, a duplicate).
-- Returns whether a task was claimed.
local function take(worker, lane, message)
  local id = id_of(message)
  if not id then return set_aside(message) end
  local record = redis.call('HMGET', task_key(id), F.message, F.state, F.claims, F.failures, F.crashes, F.expires)
  local whole = record[1]
  if not whole then
    if not adopt(id, lane, message) then return false end
    whole = message
  elseif state_of(whole, record[2]) ~= 'ready' then
    return false
  end
  if record[6] and not record[3] then
    redis.call('ZREM', UNSTARTED, id)
    if tonumber(record[6]) <= NOW then
      expire(id, 'ready', whole)
      return false
    end
  end
  local claims = (tonumber(record[3]) or 0) + 1
  move(id, 'ready', 'running', { F.claims, claims, F.worker, worker, F.started, NOW })
  taken_ids[#taken_ids + 1] = id
  taken_of[lane] = taken_of[lane] or { count = 0 }
  taken_of[lane].count = taken_of[lane].count + 1
  taken_of[lane][id] = true
  local at = #taken
  taken[at + 1], taken[at + 2], taken[at + 3] = id, claims, tonumber(record[4]) or 0
  taken[at + 4], taken[at + 5] = tonumber(record[5]) or 0, whole
  return true
end

-- Pops up to `want` tasks, strictly by lane: from the highest, or from a lower one when it is its turn.
-- Bounded also when many popped messages are dropped.
local function take_more(worker, want, first)
  local budget = want * 4 + 16
  for _, lane in ipairs(LANES_FROM[first]) do
    while want > 0 and budget > 0 do
      local popped = redis.call('RPOP', ready_key(lane), math.min(want, budget))
      if not popped or #popped == 0 then break end
      budget = budget - #popped
      for _, message in ipairs(popped) do
        if take(worker, lane, message) then want = want - 1 end
      end
    end
  end
end

-- Drops the ledger entries of what was claimed just now, as far as they stand at the tail; the sweep drops the others.
local function trim_ledger()
  for lane, claimed in pairs(taken_of) do
    local tail = redis.call('LRANGE', ledger_key(lane), -claimed.count, -1)
    local done = 0
    for at = #tail, 1, -1 do
      if not claimed[string.sub(tail[at], 1, 36)] then break end
      done = done + 1
    end
    if done > 0 then redis.call('RPOP', ledger_key(lane), done) end
  end
end

-- Ends a claiming call: the worker holds what was taken.
local function hold(worker)
  if #taken_ids == 0 then return end
  call_sliced('SADD', running_key(worker), taken_ids)
  trim_ledger()
end
