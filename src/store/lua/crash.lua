-- What becomes of a task whose worker, or process of its own, was lost; shared by finish.lua and sweep.lua.
-- It is no failure of the handler, but the third one is held against the task: whatever it does, it does not survive.

Q.POISON_CRASHES = 3

-- `task` is what `read_task` answered, its content was loaded; `cancelled` whether it was asked to be; `payload` is CBOR of what is known.
-- Returns the state it is in then.
function Q.after_crash(id, task, cancelled, payload)
  Q.remember_error(id, task, payload)
  task.crashes = task.crashes + 1
  if cancelled then
    Q.end_task(id, task, 'cancelled', Q.LAST_ERRORS, '', #Q.contents[id])
    return 'cancelled'
  end
  if task.crashes >= Q.POISON_CRASHES then
    Q.end_task(id, task, 'dead', Q.LAST_ERRORS, Q.POISON_ERROR, #Q.contents[id])
    return 'dead'
  end
  Q.move_task(id, task, 'ready')
  Q.push('RPUSH', task.lane, id, task.claims)
  return 'ready'
end
