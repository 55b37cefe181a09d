-- Settles needs: tells the tasks that wait for them how their sources have ended.
-- ARGV, for each: id of the task, the need, how the source ended ('succeeded', 'dead', 'cancelled', 'gone'; 'withdrawn' = nobody
--       wants the task any more), CBOR of its result or error ('' = none), CBOR of the error that the task gets when a failed need ends it,
--       the group of that error (lib/error-groups.lua)
-- Reply: for each 'stale' (it has no such need), 'known' (a repeat), 'noted' (it does not wait any more), 'waiting' (for others), or the
--        state that it is in now: 'ready', 'scheduled', 'dead', 'cancelled'; and how many entries were appended to the outbox

local answers = {}

local function start(id, task)
  if Q.end_without_content(id, task) then return task.state end
  local is_read, times = pcall(cjson.decode, redis.call('HGET', Q.STARTS, id) or '{}')
  local state = Q.plan_start(id, is_read and type(times) == 'table' and times or {})
  Q.move_task(id, task, state)
  if state == 'ready' then Q.push('LPUSH', task.lane, id, task.claims) end
  return state
end

-- A need has failed: the task ends, unless it shall run then.
local function fail(id, task, word, failure, group)
  local policy = word == 'withdrawn' and 'cancel' or string.match(redis.call('HGET', Q.NEEDS, id) or '', '^%l+')
  if policy == 'run' then return nil end
  Q.end_task(id, task, policy == 'cancel' and 'cancelled' or 'dead', Q.LAST_ERRORS, failure, nil, group)
  return task.state
end

-- How many needs of a task are unmet, and bytes of what the others have brought: counted anew when another program has spoilt that.
local function count_needs(id)
  local unmet, bytes = string.match(redis.call('HGET', Q.UNMET, id) or '', '^(%d+) (%d+)$')
  if unmet then return unmet, bytes end
  unmet, bytes = 0, 0
  for need in string.gmatch(redis.call('HGET', Q.NEEDS, id) or '', ' (%S+) %S+') do
    local value = redis.call('HGET', Q.NEED_VALUES, id .. ' ' .. need) or ''
    if value == '' then unmet = unmet + 1 else bytes = bytes + #value end
  end
  return unmet, bytes
end

local function settle(id, need, word, payload, failure, group)
  local field = id .. ' ' .. need
  local value = redis.call('HGET', Q.NEED_VALUES, field)
  if not value then return 'stale' end
  if value ~= '' then return 'known' end
  local unmet, bytes = count_needs(id)
  redis.call('HSET', Q.NEED_VALUES, field, word .. ' ' .. payload)
  redis.call('HSET', Q.UNMET, id, unmet - 1 .. ' ' .. bytes + #payload)
  if string.find(need, 'start%-%d+$') then redis.call('ZREM', Q.UNCONFIRMED, id) end
  Q.load_tasks({ id })
  local task = Q.read_task(id)
  if not task or task.state ~= 'waiting' then return 'noted' end
  local ended = word ~= 'succeeded' and fail(id, task, word, failure, group)
  if ended then return ended end
  return tonumber(unmet) <= 1 and start(id, task) or 'waiting'
end

while args.are_left() do
  answers[#answers + 1] = settle(args.text(), args.text(), args.text(), args.text(), args.text(), args.text())
end
Q.commit()
return { answers, Q.appended }
