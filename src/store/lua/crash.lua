-- What becomes of a task whose worker, or process of its own, was lost; shared by finish.lua and sweep.lua.
-- It is no failure of the handler, but the third one is held against the task: whatever it does, it does not survive.

local POISON_CRASHES = 3

-- `task` is what `read_task` answered, its content was loaded; `cancelled` whether it was asked to be; `payload` is CBOR of what is known.
-- Returns the state it is in then.
local function after_crash(id, task, cancelled, payload)
  remember_error(id, task, payload)
  task.crashes = task.crashes + 1
  if cancelled then
    end_task(id, task, 'cancelled', LAST_ERRORS, '', #contents[id])
    return 'cancelled'
  end
  if task.crashes >= POISON_CRASHES then
    end_task(id, task, 'dead', LAST_ERRORS, POISON_ERROR, #contents[id])
    return 'dead'
  end
  move_task(id, task, 'ready')
  push('RPUSH', task.lane, id, task.claims)
  return 'ready'
end
