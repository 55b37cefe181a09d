-- What becomes of a task whose worker, or process of its own, was lost; shared by finish.lua and sweep.lua.
-- It is no failure of the handler, but the third one is held against the task: whatever it does, it does not survive.

local POISON_CRASHES = 3

-- `record` has the fields lane, message, claims, crashes, cancel, started, worker; `payload` is CBOR of what is known.
-- Returns the state it is in then.
local function after_crash(id, record, payload)
  local lane, message, claims, cancel = record[1] or 'normal', record[2], record[3], record[5]
  local crashes = (tonumber(record[4]) or 0) + 1
  remember_error(id, record[6], claims, record[7], payload)
  if cancel then
    end_task(id, 'running', 'cancelled', { F.crashes, crashes }, #message)
    return 'cancelled'
  end
  if crashes >= POISON_CRASHES then
    end_task(id, 'running', 'dead', { F.crashes, crashes, F.error, POISON_ERROR }, #message + #POISON_ERROR)
    return 'dead'
  end
  move(id, 'running', 'ready', { F.crashes, crashes })
  push('RPUSH', lane, id, message, claims)
  return 'ready'
end
