-- Goes on with the first open operation of this queue: looks at some tasks and does to those that match what is asked for. Its numbers
-- and its cursor are written in the same step, so whoever goes on finds where it is.
-- ARGV: name of the caller, how many tasks to look at
-- Reply: 'none'; 'taken' when another caller works on it; or 'worked', its state, how many tasks were looked at, in how many ms to go
--        on (0 = at once), µs that this took by the clock of Redis (0 = it stands still in scripts), entries appended to the outbox

-- Tasks that are watched at the same time, or go to another queue, at most: with so many no further one is begun with.
Q.MOST_ON_THEIR_WAY = 1000
Q.WATCH_AGAIN_MS = 500
Q.RELAY_AGAIN_MS = 100

local caller, most = args.text(), args.number()
local began = redis.call('TIME')
local id = redis.call('ZRANGE', Q.OPERATIONS_OPEN, 0, 0)[1]
if not id then return { 'none' } end
local turn = redis.call('HMGET', Q.QUEUE, 'operated_by', 'operated_at')
local is_others = turn[1] and turn[1] ~= caller
if is_others and Q.NOW - (tonumber(turn[2]) or 0) < Q.OPERATED_WITHIN_MS then return { 'taken' } end
local op = Q.read_operation(id)
if not op then
  redis.call('ZREM', Q.OPERATIONS_OPEN, id)
  return { 'worked', 'gone', 0, 0, 0, 0 }
end
redis.call('HSET', Q.QUEUE, 'operated_by', caller, 'operated_at', Q.NOW)

-- How many tasks there are to look at, about.
local function count_all()
  if op.filter.ids then return #op.filter.ids end
  if op.term then return redis.call('ZLEXCOUNT', Q.SEARCH, '[' .. op.term .. ' ', '(' .. op.term .. '!') end
  local state = not op.states[2] and op.states[1]
  if state == 'dead' or state == 'scheduled' or state == 'running' then
    return tonumber(redis.call('HGET', Q.COUNT, state)) or 0
  end
  local counts = redis.call('HMGET', Q.COUNT, 'accepted', 'removed')
  return (tonumber(counts[1]) or 0) - (tonumber(counts[2]) or 0)
end

local function count(numbers, word) numbers[word] = (numbers[word] or 0) + 1 end

local SKIPPED = { running = true, pinned = true, ['has-needs'] = true, ['in-batch'] = true, held = true }

-- What a task came to: done unless a reason says why not.
local function settle(id, task)
  local content_is_needed = op.action ~= 'delete'
  if content_is_needed then
    Q.load(Q.CONTENTS, Q.contents, { id })
    if not Q.contents[id] then return count(op.failed, 'unreadable') end
  end
  local word, is_first = Q.acts[op.action](id, task, op.to)
  if SKIPPED[word] then return count(op.skipped, word) end
  if word == 'requested' then
    if not is_first then return count(op.skipped, 'already-requested') end
    op.requested = (op.requested or 0) + 1
    Q.is_wake_due = true
  end
  op.done = op.done + 1
  if op.stopAfterErrors then redis.call('ZADD', Q.WATCHED, Q.NOW_TEXT, id) end
end

-- Whether it has done as many as it shall do at first.
local function has_first() return op.first and not op.goesOn and op.done >= op.first end

-- Whether it does it to no further ones now, because enough are on their way.
local function is_full()
  if op.action == 'move' then return redis.call('ZCARD', Q.OUTBOX_AGES) >= Q.MOST_ON_THEIR_WAY end
  return op.stopAfterErrors and redis.call('ZCARD', Q.WATCHED) >= Q.MOST_ON_THEIR_WAY
end

local function act(id, task)
  if has_first() then return true end
  op.matched = op.matched + 1
  settle(id, task)
  return has_first()
end

-- What has become of those that were retried. Returns how many have not ended.
local function watch()
  local ids = redis.call('ZRANGE', Q.WATCHED, 0, most - 1)
  if #ids == 0 then return 0 end
  op.watched = op.watched or { succeeded = 0, dead = 0, others = 0 }
  local headers, ended = redis.call('HMGET', Q.HEADERS, unpack(ids)), {}
  for at, id in ipairs(ids) do
    local state = headers[at] and Q.state_of(headers[at]) or 'gone'
    if state == 'ready' or state == 'running' or state == 'scheduled' or state == 'waiting' then
      redis.call('ZADD', Q.WATCHED, Q.NOW_TEXT, id)
    else
      count(op.watched, op.watched[state] and state or 'others')
      ended[#ended + 1] = id
    end
  end
  Q.call_sliced('ZREM', Q.WATCHED, ended)
  return redis.call('ZCARD', Q.WATCHED)
end

local looked = 0
if op.state == 'waiting' then
  op.state, op.startedAt, op.total = 'running', Q.NOW, count_all()
end
local open = watch()
local is_stopped = op.watched and op.watched.dead >= op.stopAfterErrors
if not is_stopped and not op.isWalked and not has_first() and not is_full() then
  op.isWalked, looked = Q.walk(op, most, act)
  op.looked = op.looked + looked
  open = redis.call('ZCARD', Q.WATCHED)
end
if Q.is_wake_due then Q.wake(0) end

local wait_ms = 0
if is_stopped then
  Q.end_operation(op, 'stopped')
elseif not op.isWalked and not has_first() then
  if is_full() then wait_ms = op.action == 'move' and Q.RELAY_AGAIN_MS or Q.WATCH_AGAIN_MS end
  Q.write_operation(op)
elseif open > 0 then
  op.state, wait_ms = 'watching', Q.WATCH_AGAIN_MS
  Q.write_operation(op)
elseif op.thenRest and not op.goesOn and not op.isWalked then
  op.state, op.goesOn = 'running', true
  Q.write_operation(op)
else
  Q.end_operation(op, 'done')
end
Q.commit()
local ended = redis.call('TIME')
local us = (ended[1] - began[1]) * 1000000 + ended[2] - began[2]
return { 'worked', op.state, looked, wait_ms, us, Q.appended }
