-- Cancels a task that waits, or asks its worker to stop one that runs.
-- ARGV: id
-- Reply: 'cancelled', 'requested', 'unknown', or the terminal state it is in already

local id = ARGV[1]
local record = redis.call('HMGET', task_key(id), F.message, F.state)
local state = state_of(record[1], record[2])
if not state then return 'unknown' end

if state == 'ready' or state == 'scheduled' then
  -- Its reference may stay on the list: a claim drops it, because the record is not ready.
  if state == 'scheduled' then redis.call('ZREM', LATER, id) end
  redis.call('ZREM', UNSTARTED, id)
  end_task(id, state, 'cancelled', {}, #record[1])
  commit()
  return 'cancelled'
end
if state == 'running' then
  redis.call('HSETNX', task_key(id), F.cancel, NOW)
  redis.call('PUBLISH', BASE .. ':wake', 0)
  return 'requested'
end
return state
