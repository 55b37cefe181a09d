-- What happens to a task whose worker, or whose process of its own, was lost; shared by finish.lua and sweep.lua.
-- It is no failure of the handler, but the third crash is held against the task: whatever it does, it does not survive.

Q.POISON_CRASHES = 3
-- Leases that workers may lose while a task runs in a process of its own. High, because such a loss is no evidence against the
-- task; bounded, because a task may still be why whole machines go down.
Q.LOST_LEASES_ALLOWED = 20

-- Gives the task back to the head of its lane, or ends it when it shall be cancelled or `verdict` (CBOR of an error) is given.
local function give_back(id, task, cancelled, verdict, kept_ms)
  if cancelled then
    Q.end_task(id, task, 'cancelled', Q.LAST_ERRORS, '', #Q.contents[id], kept_ms)
  elseif verdict then
    Q.end_task(id, task, 'dead', Q.LAST_ERRORS, verdict, #Q.contents[id], kept_ms)
  else
    Q.move_task(id, task, 'ready')
    Q.push('RPUSH', task.lane, id, task.claims)
  end
  return task.state
end

-- The process of its own that ran the task has ended, or it took down the worker that ran it in a thread.
-- `task` is what `read_task` answered, its content was loaded; `cancelled` whether it was asked to be; `payload` is CBOR of what is known,
-- `kept_ms` as in `end_task`.
-- Returns the state it is in then.
function Q.after_crash(id, task, cancelled, payload, kept_ms)
  Q.remember_error(id, task, payload)
  task.crashes = task.crashes + 1
  return give_back(id, task, cancelled, task.crashes >= Q.POISON_CRASHES and Q.POISON_ERROR, kept_ms)
end

-- The lease of its worker has run out. A task with a crash before ran in a process of its own: had that process ended, the worker
-- would have said so, and a worker that froze or lost its network is not the task's fault.
-- Arguments and answer as above.
function Q.after_lost_lease(id, task, cancelled)
  if task.crashes == 0 then return Q.after_crash(id, task, cancelled, Q.LOST_ERROR) end
  Q.remember_error(id, task, Q.LOST_ERROR)
  local lost = redis.call('HINCRBY', Q.LOST_LEASES, id, 1)
  return give_back(id, task, cancelled, lost >= Q.LOST_LEASES_ALLOWED and Q.LEASES_LOST_ERROR)
end
