-- Claiming, shared by claim.lua and finish.lua.

Q.taken, Q.taken_ids = {}, {}
-- How many tasks of each lane this call has claimed, and which of all: their ledger entries are at the tail or near it.
Q.taken_of, Q.is_taken = {}, {}
-- The header that a claim makes of each header; false = its task is not ready. Tasks that are taken together often have the same.
Q.claimed = {}

-- Ledger entries of what others have popped that are passed by, about.
Q.MOST_UNCLAIMED = 100
-- Of messages that are none the latest are kept, and the beginning of each.
Q.MOST_MALFORMED = 1000
Q.MALFORMED_BYTES = 65536

function Q.set_aside(message)
  local kept = redis.call('LPUSH', Q.MALFORMED, string.sub(message, 1, Q.MALFORMED_BYTES))
  redis.call('HINCRBY', Q.COUNT, 'malformed', 1)
  redis.call('LTRIM', Q.MALFORMED, 0, Q.MOST_MALFORMED - 1)
  redis.call('HINCRBY', Q.COUNT, 'malformed-dropped', math.max(0, kept - Q.MOST_MALFORMED))
end

-- Whether id and type are what `typeOfContent` in message.ts reads: a worker could do nothing with the message otherwise.
function Q.has_envelope(id, message)
  local x4 = '[0-9a-f][0-9a-f][0-9a-f][0-9a-f]'
  if not string.find(id, '^' .. x4 .. x4 .. string.rep('%-' .. x4, 4) .. x4 .. x4 .. '$') then return false end
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
-- Returns header and content of the task that it makes of a whole one.
function Q.adopt(id, lane, message)
  local is_id = not string.find(id, '[^0-9a-f-]')
  if is_id and string.byte(message, 1) == 0x83 then return nil end
  if not is_id or not Q.has_envelope(id, message) then return Q.set_aside(message) end
  -- The content of a message is an array without its first two items, the id and the version.
  local content = string.char(string.byte(message, 1) - 2) .. string.sub(message, 41)
  Q.accept({ id }, { id, content }, 'ready')
  Q.put_header(id, Q.new_header('ready', lane, Q.NOW_TEXT))
  Q.contents[id] = content
  return Q.headers[id], content
end

-- Whether a guard keeps a ready task from running now. A guard (guards/) takes id and header of the task, and answers 'take', 'leave' (a
-- sweep ends the task), or when the task is due: the first that does not answer 'take' decides. (A due time needs the move from
-- ready to scheduled in TRANSITIONS, which no guard has needed yet.)
function Q.is_held_back(id, header)
  local task = Q.read_header(header)
  for _, guard in ipairs(Q.guards) do
    local verdict = guard(id, task)
    if verdict == 'leave' then
      Q.wake_at(Q.NOW)
      return true
    elseif verdict ~= 'take' then
      Q.move_task(id, task, 'scheduled')
      Q.plan(id, verdict)
      return true
    end
  end
  return false
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
  local taken, taken_ids, is_taken, claimed, written = Q.taken, Q.taken_ids, Q.is_taken, Q.claimed, Q.written_to(Q.HEADERS)
  local is_guarded, before, last = #Q.guards > 0, #taken_ids, #taken
  for at = 1, number do
    local id, header, content = ids[at], headers[at], contents[at]
    -- What this call has changed already.
    if Q.headers[id] ~= nil then header, content = Q.headers[id], Q.contents[id] end
    if not content then header, content = Q.adopt(id, lane, well_formed[at]) end
    if content and not is_taken[id] then
      local token = claimed[header]
      if token == nil then
        token = Q.header_of_claim(worker, header)
        claimed[header] = token
      end
      if token and not (is_guarded and Q.is_held_back(id, header)) then
        is_taken[id] = true
        taken_ids[#taken_ids + 1] = id
        written[#written + 1] = id
        written[#written + 1] = token
        taken[last + 1], taken[last + 2], taken[last + 3] = id, token, content
        last = last + 3
      end
    end
  end
  local number_taken = #taken_ids - before
  if number_taken > 0 then
    Q.move_many(taken_ids, 'ready', 'running', before + 1)
    Q.note_started(taken_ids, before + 1)
  end
  Q.taken_of[lane] = (Q.taken_of[lane] or 0) + number_taken
  return number_taken
end

-- Pops up to `want` tasks, lane after lane from the one named. Bounded also when many popped messages are dropped.
-- Returns how many are still wanted.
function Q.take_from(worker, want, first)
  local budget = want * 4 + 16
  for _, lane in ipairs(Q.LANES_FROM[first]) do
    while want > 0 and budget > 0 do
      local popped = redis.call('RPOP', Q.READY[lane], math.min(want, budget))
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

-- Drops the ledger entries of what was claimed just now, as far as they stand near the tail; the sweep drops the others.
function Q.trim_ledger()
  for lane, claimed in pairs(Q.taken_of) do
    -- What others have popped and not claimed yet stays where it was: what stands behind it would stay as well, and keep more from being
    -- dropped with each call.
    local others = {}
    while claimed > 0 and #others < Q.MOST_UNCLAIMED do
      local popped = redis.call('RPOP', Q.LEDGER[lane], claimed) or {}
      if #popped == 0 then break end
      for at = 1, #popped do
        if Q.is_taken[popped[at]] or Q.is_taken[string.sub(popped[at], 1, 36)] then
          claimed = claimed - 1
        else
          table.insert(others, 1, popped[at])
        end
      end
    end
    Q.call_sliced('RPUSH', Q.LEDGER[lane], others)
  end
end

-- Ends a claiming call: the worker holds what was taken.
function Q.hold(worker)
  if #Q.taken_ids == 0 then return end
  Q.take_hold(worker, Q.taken_ids)
  Q.trim_ledger()
end
