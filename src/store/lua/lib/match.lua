-- The tasks that an operation is about (store/operations.ts has its fields), and a bounded walk over where they may stand.

-- Bytes of contents and errors that one call reads, about: Redis copies them, and does nothing else meanwhile.
Q.BYTES_LOOKED_AT = 262144
-- Of this call: which tasks were looked at, how many that are, and these bytes.
local is_seen, looked, bytes = {}, 0, 0

local function has_type(content, type)
  local head = string.byte(content, 2) or 0
  local from = head == 0x78 and 4 or 3
  local length = head == 0x78 and (string.byte(content, 3) or 0) or head - 0x60
  return length == #type and string.sub(content, from, from + length - 1) == type
end

local function is_within(time, after, before)
  return not (after and time < after) and not (before and time >= before)
end

-- What an operation is about, as a filter has it; state and times are looked at before anything has to be read.
local function is_match(op, id, task)
  local filter = op.filter
  if not Q.is_of_state[task.state] then return false end
  local accepted = tonumber(task.accepted)
  if accepted == 0 then accepted = tonumber(string.sub(id, 1, 8) .. string.sub(id, 10, 13), 16) or 0 end
  if op.fence and (accepted > op.fence or (task.finished or 0) > op.fence) then return false end
  if not is_within(accepted, filter.acceptedAfter, filter.acceptedBefore) then return false end
  if filter.endedAfter or filter.endedBefore then
    if not task.finished or not is_within(task.finished, filter.endedAfter, filter.endedBefore) then return false end
  end
  for _, term in ipairs(op.terms or {}) do
    if not redis.call('ZSCORE', Q.SEARCH, term .. ' ' .. id) then return false end
  end
  if filter.type then
    Q.load(Q.CONTENTS, Q.contents, { id })
    bytes = bytes + #(Q.contents[id] or '')
    if not has_type(Q.contents[id] or '', filter.type) then return false end
  end
  return true
end

-- Looks at one task. Returns whether the walk shall end here.
local function look(op, id, act)
  -- A hash that is just growing may show a task twice, and the row of one that was dropped is there until this call ends.
  if is_seen[id] then return false end
  is_seen[id], looked = true, looked + 1
  Q.load(Q.HEADERS, Q.headers, { id })
  local is_there = Q.headers[id] or redis.call('HEXISTS', Q.CONTENTS, id) == 1
  -- Of what another program has spoilt nothing is known.
  local task = is_there and Q.read_header(Q.headers[id])
  return task and is_match(op, id, task) and act(id, task)
end

-- Members of a sorted set in their order. The cursor is the score and the member that was looked at last.
local function walk_set(op, key, most, act)
  local from = 0
  if op.cursor ~= '' then
    local score, member = string.match(op.cursor, '^(%S+) (.*)$')
    from = Q.rank_of(key, score, member)
    if redis.call('ZRANGE', key, from, from)[1] == member then from = from + 1 end
  end
  local flat = redis.call('ZRANGE', key, from, from + most - 1, 'WITHSCORES')
  local ids = {}
  for at = 1, #flat, 2 do ids[#ids + 1] = flat[at] end
  Q.load(Q.HEADERS, Q.headers, ids)
  for at, id in ipairs(ids) do
    op.cursor = flat[2 * at] .. ' ' .. id
    if look(op, id, act) or bytes >= Q.BYTES_LOOKED_AT then return false end
  end
  return #ids < most
end

-- Tasks that have a term, oldest first (lib/terms.lua). The cursor is the id that was looked at last.
local function walk_term(op, term, most, act)
  local from = op.cursor == '' and '[' .. term .. ' ' or '(' .. term .. ' ' .. op.cursor
  local members = redis.call('ZRANGEBYLEX', Q.SEARCH, from, '(' .. term .. '!', 'LIMIT', 0, most)
  for _, member in ipairs(members) do
    op.cursor = string.sub(member, #term + 2)
    if look(op, op.cursor, act) or bytes >= Q.BYTES_LOOKED_AT then return false end
  end
  return #members < most
end

-- The tasks of these ids. The cursor is how many of them were looked at.
local function walk_ids(op, ids, most, act)
  local from = tonumber(op.cursor) or 0
  local last = math.min(#ids, from + most)
  for at = from + 1, last do
    op.cursor = tostring(at)
    if look(op, ids[at], act) or bytes >= Q.BYTES_LOOKED_AT then return false end
  end
  return last == #ids
end

-- A hash or a set, bucket by bucket. The cursor is that of Redis: what is there all the time is looked at at least once.
local function walk_buckets(op, command, key, most, act)
  local cursor, step = op.cursor == '' and '0' or op.cursor, command == 'HSCAN' and 2 or 1
  local shall_end = false
  for _ = 1, most do
    local reply = redis.call(command, key, cursor, 'COUNT', 1)
    cursor = reply[1]
    -- A bucket has no middle: it is looked at whole.
    for at = 1, #reply[2], step do
      shall_end = look(op, reply[2][at], act) or shall_end
      if step == 2 then bytes = bytes + #reply[2][at + 1] end
    end
    op.cursor = cursor
    if cursor == '0' then return true end
    if shall_end or looked >= most or bytes >= Q.BYTES_LOOKED_AT then return false end
  end
  return false
end

-- Looks at about `most` tasks from `op.cursor` on ('' = from the start), moves it behind them, and calls `act(id, task)` for each that
-- matches, until one of these calls returns true. Returns whether that were the last ones, and how many they were.
function Q.walk(op, most, act)
  Q.is_of_state = {}
  for _, state in ipairs(op.states) do Q.is_of_state[state] = true end
  local state, is_over = op.states[2] and 'any' or op.states[1]
  if op.filter.ids then
    is_over = walk_ids(op, op.filter.ids, most, act)
  elseif op.term then
    is_over = walk_term(op, op.term, most, act)
  elseif state == 'dead' then
    is_over = walk_set(op, Q.DEAD, most, act)
  elseif state == 'scheduled' then
    is_over = walk_set(op, Q.LATER, most, act)
  elseif state == 'running' then
    is_over = walk_buckets(op, 'SSCAN', Q.RUNNING, most, act)
  else
    -- A task that is ready for the first time has no header.
    local column = (state == 'ready' or state == 'any') and Q.CONTENTS or Q.HEADERS
    is_over = walk_buckets(op, 'HSCAN', column, most, act)
  end
  return is_over, looked
end
