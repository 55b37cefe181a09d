-- What a new task may bring beside its content, as producer.ts names it (TaskExtras): times, an idempotency key, what follows it, what
-- it follows, and what it is found by.
-- Shared by enqueue.lua, tick.lua and wait.lua.

-- Tasks that `accept_gathered` accepts, by lane those that are ready at once: ids, and id and content of each.
Q.gathered, Q.scheduled = {}, { ids = {}, rows = {} }

-- Who has an idempotency key. Returns nil when it is free; or 'known' (this very task: a repeat), 'replayed' or 'conflict', and the id of its owner.
local function look_up(id, key)
  local owner = redis.call('HGET', Q.IDEMPOTENCY, key.key)
  if not owner then return nil end
  local owner_id = string.sub(owner, 1, 36)
  if owner_id == id then return 'known', id end
  return string.sub(owner, 37) == key.digest and 'replayed' or 'conflict', owner_id
end

local function take_key(id, key)
  redis.call('HSET', Q.IDEMPOTENCY, key.key, id .. key.digest)
  -- By the clock of sweep/idempotency.lua.
  local ends = Q.NOW + key.windowMs
  redis.call('ZADD', Q.IDEMPOTENCY_ENDS, ends - Q.stood_still(), key.key)
  Q.wake_at(ends)
end

-- Ids of those tasks that a relay has accepted before.
Q.marked = {}

-- A relay accepts the tasks among these (id, extras) that have a `mark`: it says which entry of which outbox they follow. Each relay renews
-- the mark, also one that finds the row.
function Q.mark(tasks)
  local ids, members, marks = {}, {}, {}
  for _, one in ipairs(tasks) do
    if one.extras.mark then
      local last, member = #ids + 1, one.id .. ' ' .. one.extras.mark
      ids[last], members[last], marks[2 * last - 1], marks[2 * last] = one.id, member, Q.NOW_TEXT, member
    end
  end
  if #ids == 0 then return end
  local before = redis.call('ZMSCORE', Q.MARKS, unpack(members))
  for at, id in ipairs(ids) do Q.marked[id] = before[at] and true or nil end
  Q.call_sliced('ZADD', Q.MARKS, marks)
end

-- The time in a UUIDv7 is its first 48 bits (RFC 9562, section 5.7). It serves as the time of acceptance while it is close to it,
-- so that most waiting tasks need no header.
Q.CLOSE_MS = 100
function Q.is_made_now(id)
  local made_at = tonumber(string.sub(id, 1, 8) .. string.sub(id, 10, 13), 16)
  return made_at and math.abs(Q.NOW - made_at) <= Q.CLOSE_MS
end

-- What a task keeps for its end, and to be found by.
function Q.keep_extras(id, extras)
  if extras.follower then
    Q.put(Q.FOLLOWERS, id, extras.follower)
    Q.note_followed('marked')
  end
  if extras.terms then Q.found_by(id, extras.terms) end
  if extras.resultTtlMs then Q.put(Q.RESULT_TTLS, id, extras.resultTtlMs) end
end

-- Gathers a task whose content was looked for (`load`), to be accepted.
-- Returns 'accepted', 'known', 'replayed', 'conflict' or 'voided', and the id.
function Q.gather(id, content, lane, extras)
  if extras.key then
    local verdict, owner = look_up(id, extras.key)
    -- One that has its key was accepted when it took that, also when its row is gone by now.
    if verdict then return verdict, owner end
    -- One whose key belongs to another task was never accepted.
    if extras.mark then Q.mark({ { id = id, extras = extras } }) end
    -- It is not accepted any more: a key that led to it would lead nowhere.
    if Q.marked[id] and not Q.contents[id] then return 'voided', id end
    take_key(id, extras.key)
  end
  if Q.contents[id] or Q.marked[id] then return 'known', id end
  Q.contents[id] = content
  Q.keep_extras(id, extras)
  local state = Q.plan_start(id, extras)
  if state == 'scheduled' or extras.follower or lane ~= Q.DEFAULT_LANE or not Q.is_made_now(id) then
    Q.put_header(id, Q.new_header(state, lane, Q.NOW_TEXT, extras.follower))
  end
  local group = state == 'scheduled' and Q.scheduled or Q.gathered[lane]
  if not group then
    group = { ids = {}, rows = {} }
    Q.gathered[lane] = group
  end
  local last = #group.rows
  group.ids[#group.ids + 1] = id
  group.rows[last + 1], group.rows[last + 2] = id, content
  return 'accepted', id
end

-- Puts tasks that are ready for the first time on their lane.
local function push_all(lane, ids, rows)
  local references = {}
  for at = 1, #ids do references[at] = Q.reference_of(ids[at], rows[2 * at]) end
  Q.call_sliced('LPUSH', Q.READY[lane], references)
  Q.call_sliced('LPUSH', Q.LEDGER[lane], ids)
end

function Q.accept_gathered()
  for _, group in pairs(Q.gathered) do Q.accept(group.ids, group.rows, 'ready') end
  if Q.hand_over then Q.hand_over(Q.gathered) end
  for lane, group in pairs(Q.gathered) do
    if Q.is_handed then Q.drop_handed(group) end
    push_all(lane, group.ids, group.rows)
  end
  if #Q.scheduled.ids > 0 then Q.accept(Q.scheduled.ids, Q.scheduled.rows, 'scheduled') end
end
