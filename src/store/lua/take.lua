-- Claiming, shared by claim.lua and finish.lua.

Q.taken, Q.taken_ids = {}, {}
-- How many tasks of each lane this call has claimed, and which of all: their ledger entries are at the tail or near it.
Q.taken_of, Q.is_taken = {}, {}
-- The header of every task that runs for the first time and was nothing but ready in the normal lane before.
Q.first_header = 'running 1 0 0 normal 0 ' .. Q.NOW_TEXT .. ' ' .. ARGV[1]
-- Whether any task must be started in time; most queues have none.
Q.may_expire_unstarted = redis.call('EXISTS', Q.UNSTARTED) == 1

function Q.set_aside(message)
  redis.call('LPUSH', Q.BASE .. ':malformed', message)
  Q.count('malformed', 1)
end

-- Whether id and type are what `readEnvelope` in message.ts reads: a worker could do nothing with the message otherwise.
function Q.has_envelope(id, message)
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
function Q.adopt(id, lane, message)
  if string.find(id, '[^0-9a-f-]') then
    Q.set_aside(message)
    return false
  end
  if string.byte(message, 1) == 0x83 then return false end
  if not Q.has_envelope(id, message) then
    Q.set_aside(message)
    return false
  end
  -- The content of a message is an array without its first two items, the id and the version.
  Q.contents[id] = string.char(string.byte(message, 1) - 2) .. string.sub(message, 41)
  Q.put(Q.CONTENTS, id, Q.contents[id])
  Q.count('accepted', 1)
  Q.move(id, 'new', 'ready', 'ready 0 0 0 ' .. lane .. ' ' .. Q.NOW .. ' 0 -')
  return true
end

-- Whether a task that was never started is too late to be; it is dead then.
function Q.is_expired(id)
  local expires = redis.call('ZSCORE', Q.UNSTARTED, id)
  if not expires then return false end
  redis.call('ZREM', Q.UNSTARTED, id)
  if tonumber(expires) > Q.NOW then return false end
  local task = Q.read_task(id)
  if task then Q.expire(id, task) end
  return true
end

-- Marks a popped message as running under `worker` when its task is known to be anything but new, or not known at all. Drops it
-- when its task is not ready (cancelled, done, a duplicate). Its row is in the cache. Returns whether a task was claimed.
function Q.take(worker, lane, id, message)
  if not Q.contents[id] and not Q.adopt(id, lane, message) then return false end
  local header = Q.headers[id]
  if header and string.sub(header, 1, 6) ~= 'ready ' then return false end
  local first_time = not header or string.sub(header, 1, 8) == 'ready 0 '
  if first_time and Q.may_expire_unstarted and Q.is_expired(id) then return false end
  local task = Q.read_task(id)
  if not task then return false end
  task.claims, task.worker, task.started = task.claims + 1, worker, Q.NOW
  Q.move_task(id, task, 'running')
  return true
end

-- Takes what was popped from one lane. Returns how many tasks were claimed.
function Q.take_all(worker, lane, messages)
  local ids, well_formed, number = {}, {}, 0
  for at = 1, #messages do
    local id = Q.id_of(messages[at])
    if id then
      number = number + 1
      ids[number], well_formed[number] = id, messages[at]
    else
      Q.set_aside(messages[at])
    end
  end
  if number == 0 then return 0 end
  local headers = redis.call('HMGET', Q.HEADERS, unpack(ids))
  local contents = redis.call('HMGET', Q.CONTENTS, unpack(ids))
  local taken, taken_ids, is_taken, fresh, written = Q.taken, Q.taken_ids, Q.is_taken, {}, {}
  local before = #taken_ids
  for at = 1, number do
    local id, header, content = ids[at], headers[at], contents[at]
    -- What nearly every task is: new, so that nothing has to be taken apart.
    local is_new = content and not header and not Q.may_expire_unstarted and Q.headers[id] == nil and not is_taken[id]
    local claimed = is_new
    if is_new then
      header = Q.first_header
      fresh[#fresh + 1] = id
      local last = #written
      written[last + 1], written[last + 2] = id, header
    elseif not is_taken[id] then
      if Q.headers[id] == nil then Q.headers[id], Q.contents[id] = header, content end
      claimed = Q.take(worker, lane, id, well_formed[at])
      header, content = Q.headers[id], Q.contents[id]
    end
    if claimed then
      is_taken[id] = true
      taken_ids[#taken_ids + 1] = id
      local last = #taken
      taken[last + 1], taken[last + 2], taken[last + 3] = id, header, content
    end
  end
  if #fresh > 0 then
    redis.call('HSET', Q.HEADERS, unpack(written))
    Q.move_many(#fresh, 'ready', 'running', Q.moves_text(fresh, 'running'))
  end
  local claimed = #taken_ids - before
  Q.taken_of[lane] = (Q.taken_of[lane] or 0) + claimed
  return claimed
end

-- Pops up to `want` tasks, lane after lane from the one named. Bounded also when many popped messages are dropped.
-- Returns how many are still wanted.
function Q.take_from(worker, want, first)
  local budget = want * 4 + 16
  for _, lane in ipairs(Q.LANES_FROM[first]) do
    while want > 0 and budget > 0 do
      local popped = redis.call('RPOP', Q.ready_key(lane), math.min(want, budget))
      if not popped or #popped == 0 then break end
      budget = budget - #popped
      want = want - Q.take_all(worker, lane, popped)
    end
  end
  return want
end

-- Fills `want` slots strictly by lane, but for the shares that begin at the lower lanes.
function Q.take_more(worker, want, from_low, from_normal)
  local left_of_low = from_low > 0 and Q.take_from(worker, from_low, 'low') or 0
  local left_of_normal = from_normal > 0 and Q.take_from(worker, from_normal, 'normal') or 0
  local from_high = want - from_low - from_normal
  -- A share that found nothing in any lane leaves nothing to others either.
  if from_high > 0 and left_of_low + left_of_normal == 0 then Q.take_from(worker, from_high, 'high') end
end

-- Drops the ledger entries of what was claimed just now, as far as they stand at the tail; the sweep drops the others.
function Q.trim_ledger()
  for lane, claimed in pairs(Q.taken_of) do
    local popped = claimed > 0 and redis.call('RPOP', Q.ledger_key(lane), claimed) or {}
    for at = 1, #popped do
      if not Q.is_taken[popped[at]] and not Q.is_taken[string.sub(popped[at], 1, 36)] then
        -- From here on they stay where they were.
        for back = #popped, at, -1 do redis.call('RPUSH', Q.ledger_key(lane), popped[back]) end
        break
      end
    end
  end
end

-- Ends a claiming call: the worker holds what was taken.
function Q.hold(worker)
  if #Q.taken_ids == 0 then return end
  Q.call_sliced('SADD', Q.running_key(worker), Q.taken_ids)
  Q.trim_ledger()
end
