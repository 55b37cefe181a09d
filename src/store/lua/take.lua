-- Claiming, shared by claim.lua and finish.lua.

local taken, taken_ids = {}, {}
-- How many tasks of each lane this call has claimed, and which of all: their ledger entries are at the tail or near it.
local taken_of, is_taken = {}, {}
-- The header of every task that runs for the first time and was nothing but ready in the normal lane before; and those of one lane.
local first_header = 'running 1 0 0 normal 0 ' .. NOW_TEXT .. ' ' .. ARGV[1]
local fresh = {}
-- Whether any task must be started in time; most queues have none.
local may_expire_unstarted = redis.call('EXISTS', UNSTARTED) == 1

local function set_aside(message)
  redis.call('LPUSH', BASE .. ':malformed', message)
  count('malformed', 1)
end

-- Whether id and type are what `readEnvelope` in message.ts reads: a worker could do nothing with the message otherwise.
local function has_envelope(id, message)
  if not string.find(id, '^%x+%-%x+%-%x+%-%x+%-%x+$') or string.find(id, '%u') then return false end
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

-- A message without a row: from another program (whole), or what is left of a task that was removed (a reference).
local function adopt(id, lane, message)
  if string.find(id, '[^0-9a-f-]') then
    set_aside(message)
    return false
  end
  if string.byte(message, 1) == 0x83 then return false end
  if not has_envelope(id, message) then
    set_aside(message)
    return false
  end
  -- The content of a message is an array without its first two items, the id and the version.
  contents[id] = string.char(string.byte(message, 1) - 2) .. string.sub(message, 41)
  put(CONTENTS, id, contents[id])
  count('accepted', 1)
  move(id, 'new', 'ready', 'ready 0 0 0 ' .. lane .. ' ' .. NOW .. ' 0 -')
  return true
end

-- Whether a task that was never started is too late to be; it is dead then.
local function is_expired(id)
  local expires = redis.call('ZSCORE', UNSTARTED, id)
  if not expires then return false end
  redis.call('ZREM', UNSTARTED, id)
  if tonumber(expires) > NOW then return false end
  expire(id, read_task(id))
  return true
end

-- Marks one popped message as running under `worker`. Drops it when its task is not ready (cancelled, done, a duplicate).
-- Its row was looked for (`load_tasks`). Returns whether a task was claimed.
local function take(worker, lane, id, message)
  if not contents[id] and not adopt(id, lane, message) then return false end
  local header = headers[id]
  if header and string.sub(header, 1, 6) ~= 'ready ' then return false end
  local first_time = not header or string.sub(header, 1, 8) == 'ready 0 '
  if first_time and may_expire_unstarted and is_expired(id) then return false end
  if header then
    local task = read_task(id)
    task.claims, task.worker, task.started = task.claims + 1, worker, NOW
    move_task(id, task, 'running')
  else
    -- Its move is made with those of the others that are new.
    headers[id] = first_header
    changed[#changed + 1] = id
    fresh[#fresh + 1] = id
  end
  return true
end

-- Takes what was popped from one lane. Returns how many tasks were claimed.
local function take_all(worker, lane, messages)
  local ids, well_formed = {}, {}
  for at = 1, #messages do
    local id = id_of(messages[at])
    if id then
      ids[#ids + 1] = id
      well_formed[#ids] = messages[at]
    else
      set_aside(messages[at])
    end
  end
  load_tasks(ids)
  fresh = {}
  local before = #taken_ids
  for at = 1, #ids do
    local id = ids[at]
    if not is_taken[id] and take(worker, lane, id, well_formed[at]) then
      is_taken[id] = true
      taken_ids[#taken_ids + 1] = id
      local last = #taken
      taken[last + 1], taken[last + 2], taken[last + 3] = id, headers[id], contents[id]
    end
  end
  if #fresh > 0 then move_many(#fresh, 'ready', 'running', moves_text(fresh, 'running')) end
  local claimed = #taken_ids - before
  taken_of[lane] = (taken_of[lane] or 0) + claimed
  return claimed
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
      want = want - take_all(worker, lane, popped)
    end
  end
end

-- Drops the ledger entries of what was claimed just now, as far as they stand at the tail; the sweep drops the others.
local function trim_ledger()
  for lane, claimed in pairs(taken_of) do
    local tail = claimed > 0 and redis.call('LRANGE', ledger_key(lane), -claimed, -1) or {}
    local trimmed = 0
    for at = #tail, 1, -1 do
      if not is_taken[tail[at]] and not is_taken[string.sub(tail[at], 1, 36)] then break end
      trimmed = trimmed + 1
    end
    if trimmed > 0 then redis.call('RPOP', ledger_key(lane), trimmed) end
  end
end

-- Ends a claiming call: the worker holds what was taken.
local function hold(worker)
  if #taken_ids == 0 then return end
  call_sliced('SADD', running_key(worker), taken_ids)
  trim_ledger()
end
