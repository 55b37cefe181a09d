-- Drops the row of a task that does not run. One that waits is cancelled by it.
-- ARGV: id
-- Reply: 'removed', 'unknown' or 'running'

local id = args.text()
Q.load_tasks({ id })
local task = Q.read_task(id)
if not task then
  if not Q.contents[id] then return 'unknown' end
  -- Its header is none, so it is in no state that could be counted down.
  Q.removed[1] = id
  redis.call('SREM', Q.RUNNING, id)
  Q.commit()
  return 'removed'
end
if task.state == 'running' then return 'running' end

if task.state == 'ready' or task.state == 'scheduled' then
  Q.forget_wait(id, task)
  Q.ended({ id }, task.state, 'cancelled')
  task.state = 'cancelled'
end
if task.state == 'dead' then redis.call('ZREM', Q.DEAD, id) end
redis.call('ZREM', Q.KEPT, id)
Q.remove(id, task)
Q.commit()
return 'removed'
