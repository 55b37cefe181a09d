-- Attempts that have not ended their task: what is remembered of them, and what the loss of a worker, or of a process of its own,
-- means. That is no failure of the handler, but the third crash is held against the task: whatever it does, it does not survive.
-- Shared by finish.lua and sweep.lua.

-- Failed attempts that are remembered of a task.
Q.ERRORS_KEPT = 20
Q.POISON_CRASHES = 3
-- Leases that workers may lose while a task runs in a process of its own. High, because such a loss is no evidence against the
-- task; bounded, because a task may still be why whole machines go down.
Q.LOST_LEASES_ALLOWED = 20

-- Remembers how an attempt failed: started, ended, claim, worker, how many bytes follow, and these: the error as CBOR. One entry
-- behind the other, the oldest first.
function Q.remember_error(id, task, payload)
  local started = task.started ~= '0' and task.started or Q.NOW_TEXT
  local before, starts, at = redis.call('HGET', Q.ERRORS, id) or '', {}, 1
  while at <= #before do
    local bytes, from = string.match(before, '^%S+ %S+ %S+ %S+ (%d+) ()', at)
    -- Another program has spoilt it.
    if not bytes then before = '' break end
    starts[#starts + 1] = at
    at = from + bytes
  end
  local dropped = #starts + 1 - Q.ERRORS_KEPT
  if dropped > 0 then before = string.sub(before, starts[dropped + 1]) end
  local words = table.concat({ started, Q.NOW_TEXT, task.claims, task.worker, #payload }, ' ')
  redis.call('HSET', Q.ERRORS, id, before .. words .. ' ' .. payload)
end

-- Counts how a run ended that did not end its task, or why it did.
function Q.count(name) Q.deltas[name] = (Q.deltas[name] or 0) + 1 end

-- Gives a task back to where the next one is taken from.
function Q.give_back(id, task)
  Q.move_task(id, task, 'ready')
  Q.push('RPUSH', task.lane, id, task.claims)
end

-- Gives back a task whose handler has not begun. Its claim number has grown, else it is as it was before the claim: one that was
-- never begun still has to be started in time. (Any earlier run has left a failure, a crash, an error, or no time.)
function Q.give_back_unbegun(id, task)
  local expires = task.failures + task.crashes == 0 and Q.read_time(redis.call('HGET', Q.EXPIRES, id))
  if expires and redis.call('HEXISTS', Q.LAST_ERRORS, id) == 0 then
    redis.call('ZADD', Q.UNSTARTED, expires, id)
    Q.wake_at(expires)
    -- This call may claim it again.
    if Q.guard_expiry then Q.guard_expiry() end
  end
  if task.claims == 1 then task.started = '0' end
  Q.give_back(id, task)
end

-- Gives the task back, or ends it when it shall be cancelled or `verdict` (CBOR of an error) is given. Returns the state it is in then.
local function settle(id, task, is_cancelled, verdict, keep_ms)
  if is_cancelled then
    Q.end_task(id, task, 'cancelled', Q.LAST_ERRORS, '', keep_ms)
  elseif verdict then
    Q.count('poisoned')
    Q.end_task(id, task, 'dead', Q.LAST_ERRORS, verdict, keep_ms)
  else
    Q.count('returned')
    Q.give_back(id, task)
  end
  return task.state
end

-- The process of its own that ran the task has ended, or it took down the worker that ran it in a thread.
-- `task` is what `read_task` answered, its content was loaded; `is_cancelled` what `load_lost` says of it; `payload` is CBOR of what
-- is known; `keep_ms` as in `end_task`. Returns as above.
function Q.after_crash(id, task, is_cancelled, payload, keep_ms)
  Q.remember_error(id, task, payload)
  task.crashes = task.crashes + 1
  return settle(id, task, is_cancelled, task.crashes >= Q.POISON_CRASHES and Q.POISON_ERROR, keep_ms)
end

-- Looks at tasks that may have to come back from their worker. Returns which of them are cancelled then: they were asked to be, or another
-- program has taken their content away, without which they cannot run again.
function Q.load_lost(ids)
  local cancels = {}
  Q.load_tasks(ids)
  Q.load(Q.CANCELS, cancels, ids)
  for _, id in ipairs(ids) do cancels[id] = cancels[id] or not Q.contents[id] end
  return cancels
end

-- The lease of its worker has run out. A task with a crash before ran in a process of its own: had that process ended, the worker
-- would have said so, and a worker that froze or lost its network is not the task's fault.
-- One that had not begun (`has_begun` in worker.lua) had no part in it.
-- Arguments and answer as above.
function Q.after_lost_lease(id, task, is_cancelled, has_begun)
  if not has_begun then
    if is_cancelled then return settle(id, task, true) end
    Q.count('returned')
    Q.give_back_unbegun(id, task)
    return task.state
  end
  if task.crashes == 0 then return Q.after_crash(id, task, is_cancelled, Q.LOST_ERROR) end
  Q.remember_error(id, task, Q.LOST_ERROR)
  local lost = Q.count_up(Q.LOST_LEASES, id, 1)
  return settle(id, task, is_cancelled, lost >= Q.LOST_LEASES_ALLOWED and Q.LEASES_LOST_ERROR)
end
