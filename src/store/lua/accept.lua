-- Accepting one task, shared by enqueue.lua and tick.lua.

-- References and ledger entries to push, by lane.
local references, entries = {}, {}
local accepted = 0

-- A time that was given relative to now, or as a time of day; the scripts' clock may be ahead of the host's.
local function instant(relative, absolute)
  if relative then return NOW + relative end
  if absolute then return absolute + (NOW - WALL) end
  return nil
end

-- Looks an idempotency key up, and takes it when it is free.
-- Returns 'free', 'known' (this very task has it: a repeat), 'replayed' or 'conflict', and the id that owns the key.
local function take_key(id, more)
  local name = BASE .. ':key:' .. more.key
  local owner = redis.call('GET', name)
  if not owner then
    redis.call('SET', name, id .. more.print, 'PX', more.window)
    return 'free', id
  end
  local owner_id = string.sub(owner, 1, 36)
  if owner_id == id then return 'known', id end
  return string.sub(owner, 37) == more.print and 'replayed' or 'conflict', owner_id
end

-- The time in a UUIDv7 is its first 48 bits (RFC 9562, section 5.7). It serves as the time of acceptance while it is close to it,
-- so that most waiting tasks need no header.
local CLOSE_MS = 100
local function is_made_now(id)
  local made_at = tonumber(string.sub(id, 1, 8) .. string.sub(id, 10, 13), 16)
  return made_at and math.abs(NOW - made_at) <= CLOSE_MS
end

local function push_later(lane, id, content)
  local pushed = references[lane]
  if not pushed then
    pushed = {}
    references[lane], entries[lane] = pushed, {}
  end
  pushed[#pushed + 1] = reference_of(id, content)
  entries[lane][#pushed] = id
end

-- Accepts a task whose content was looked for (`load`).
-- `more` has nothing that most tasks have: delay, at, ttl, expires (ms), key, window (ms), print (what the key's request was).
-- `made_now` is what `is_made_now` answered. Returns 'accepted', 'known', 'replayed' or 'conflict', and the id.
local function accept(id, content, lane, made_now, more)
  if more.key then
    local verdict, owner = take_key(id, more)
    if verdict == 'replayed' or verdict == 'conflict' then return verdict, owner end
  end
  if contents[id] then return 'known', id end
  contents[id] = content
  put(CONTENTS, id, content)
  accepted = accepted + 1
  local expires = instant(more.ttl, more.expires)
  if expires then
    put(EXPIRES, id, expires)
    redis.call('ZADD', UNSTARTED, expires, id)
    wake_at(expires)
  end
  local due = instant(more.delay, more.at)
  if due and due > NOW then
    move(id, 'new', 'scheduled', 'scheduled 0 0 0 ' .. lane .. ' ' .. NOW .. ' 0 -')
    plan(id, due)
    return 'accepted', id
  end
  local needs_header = lane ~= 'normal' or not made_now
  move(id, 'new', 'ready', needs_header and 'ready 0 0 0 ' .. lane .. ' ' .. NOW .. ' 0 -' or nil)
  push_later(lane, id, content)
  return 'accepted', id
end

local function push_accepted()
  for lane, pushed in pairs(references) do
    call_sliced('LPUSH', ready_key(lane), pushed)
    call_sliced('LPUSH', ledger_key(lane), entries[lane])
  end
  count('accepted', accepted)
end
