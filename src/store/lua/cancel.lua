-- Cancels a task that waits, or asks its worker to stop one that runs.
-- ARGV: id
-- Reply: 'cancelled', 'requested', 'unknown', or the terminal state it is in already

local id = ARGV[1]
load_tasks({ id })
local task = read_task(id)
if not task then return 'unknown' end

if task.state == 'ready' or task.state == 'scheduled' then
  -- Its reference may stay on the list: a claim drops it, because the task is not ready.
  if task.state == 'scheduled' then redis.call('ZREM', LATER, id) end
  redis.call('ZREM', UNSTARTED, id)
  end_task(id, task, 'cancelled', LAST_ERRORS, '', #contents[id])
  commit()
  return 'cancelled'
end
if task.state == 'running' then
  redis.call('HSETNX', CANCELS, id, NOW)
  redis.call('PUBLISH', BASE .. ':wake', 0)
  return 'requested'
end
return task.state
