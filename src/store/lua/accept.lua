-- Accepting one task, shared by enqueue.lua and tick.lua.

-- References and ledger entries to push, by lane.
Q.references, Q.entries = {}, {}
Q.accepted = 0

-- A time that was given relative to now, or as a time of day; the scripts' clock may be ahead of the host's.
function Q.instant(relative, absolute)
  if relative then return Q.NOW + relative end
  if absolute then return absolute + (Q.NOW - Q.WALL) end
  return nil
end

-- Looks an idempotency key up, and takes it when it is free.
-- Returns 'free', 'known' (this very task has it: a repeat), 'replayed' or 'conflict', and the id that owns the key.
function Q.take_key(id, more)
  local name = Q.BASE .. ':key:' .. more.key
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
Q.CLOSE_MS = 100
function Q.is_made_now(id)
  local made_at = tonumber(string.sub(id, 1, 8) .. string.sub(id, 10, 13), 16)
  return made_at and math.abs(Q.NOW - made_at) <= Q.CLOSE_MS
end

function Q.push_later(lane, id, content)
  local pushed = Q.references[lane]
  if not pushed then
    pushed = {}
    Q.references[lane], Q.entries[lane] = pushed, {}
  end
  pushed[#pushed + 1] = Q.reference_of(id, content)
  Q.entries[lane][#pushed] = id
end

-- Accepts a task whose content was looked for (`load`).
-- `more` has nothing that most tasks have: delay, at, ttl, expires, kept (ms), key, window (ms), print (what the key's request was).
-- `made_now` is what `is_made_now` answered. Returns 'accepted', 'known', 'replayed' or 'conflict', and the id.
function Q.accept(id, content, lane, made_now, more)
  if more.key then
    local verdict, owner = Q.take_key(id, more)
    if verdict == 'replayed' or verdict == 'conflict' then return verdict, owner end
  end
  if Q.contents[id] then return 'known', id end
  Q.contents[id] = content
  Q.put(Q.CONTENTS, id, content)
  Q.accepted = Q.accepted + 1
  local expires = Q.instant(more.ttl, more.expires)
  if expires then
    Q.put(Q.EXPIRES, id, expires)
    redis.call('ZADD', Q.UNSTARTED, expires, id)
    Q.wake_at(expires)
  end
  if more.kept then Q.put(Q.RESULT_TTLS, id, more.kept) end
  local due = Q.instant(more.delay, more.at)
  if due and due > Q.NOW then
    Q.move(id, 'new', 'scheduled', 'scheduled 0 0 0 ' .. lane .. ' ' .. Q.NOW .. ' 0 -')
    Q.plan(id, due)
    return 'accepted', id
  end
  local needs_header = lane ~= 'normal' or not made_now
  Q.move(id, 'new', 'ready', needs_header and 'ready 0 0 0 ' .. lane .. ' ' .. Q.NOW .. ' 0 -' or nil)
  Q.push_later(lane, id, content)
  return 'accepted', id
end

-- Returns how many tasks the queue has accepted in all; nil when none were accepted now.
function Q.push_accepted()
  for lane, pushed in pairs(Q.references) do
    Q.call_sliced('LPUSH', Q.ready_key(lane), pushed)
    Q.call_sliced('LPUSH', Q.ledger_key(lane), Q.entries[lane])
  end
  return Q.count('accepted', Q.accepted)
end
