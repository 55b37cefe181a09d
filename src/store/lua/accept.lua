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

-- `extras` is '' or JSON: delay, at, ttl, expires (ms), key, window (ms), print (what the key's request was).
-- Returns 'accepted', 'known', 'replayed' or 'conflict', and the id.
local function accept(message, lane, extras)
  local id = id_of(message)
  local more = extras ~= '' and cjson.decode(extras) or {}
  if more.key then
    local verdict, owner = take_key(id, more)
    if verdict == 'replayed' or verdict == 'conflict' then return verdict, owner end
  end
  -- A record that was there keeps its state: only its acceptance is written again, with the same message.
  local fields = { F.message, message, F.accepted, NOW }
  if lane ~= 'normal' then
    fields[5], fields[6] = F.lane, lane
  end
  local expires = instant(more.ttl, more.expires)
  if expires then
    fields[#fields + 1], fields[#fields + 2] = F.expires, expires
  end
  if redis.call('HSET', task_key(id), unpack(fields)) < #fields / 2 then return 'known', id end

  accepted = accepted + 1
  if expires then
    redis.call('ZADD', UNSTARTED, expires, id)
    wake_at(expires)
  end
  local due = instant(more.delay, more.at)
  if due and due > NOW then
    move(id, 'new', 'scheduled', { F.due, due })
    plan(id, due)
  else
    move(id, 'new', 'ready')
    if not references[lane] then references[lane], entries[lane] = {}, {} end
    references[lane][#references[lane] + 1] = reference_of(message)
    entries[lane][#entries[lane] + 1] = id .. ':0'
  end
  return 'accepted', id
end

local function push_accepted()
  for lane, pushed in pairs(references) do
    call_sliced('LPUSH', ready_key(lane), pushed)
    call_sliced('LPUSH', ledger_key(lane), entries[lane])
  end
  count('accepted', accepted)
end
