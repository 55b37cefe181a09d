-- Drops the row of a task that does not run. One that waits is cancelled by it.
-- ARGV: id
-- Reply: 'removed', 'unknown' or 'running'

local id = ARGV[1]
Q.load_tasks({ id })
local task = Q.read_task(id)
if not task then
  if not Q.contents[id] then return 'unknown' end
  -- Its header is none, so it is in no state that could be counted down.
  Q.removed[1] = id
  Q.commit()
  return 'removed'
end
if task.state == 'running' then return 'running' end

local state = task.state
if state == 'ready' or state == 'scheduled' then
  -- Its reference may stay on the list: a claim drops it, because there is no task.
  if state == 'scheduled' then redis.call('ZREM', Q.LATER, id) end
  redis.call('ZREM', Q.UNSTARTED, id)
  Q.move(id, state, 'cancelled')
  state = 'cancelled'
end
if state == 'dead' then redis.call('ZREM', Q.DEAD, id) end
redis.call('ZREM', Q.KEPT, id)
Q.kept_bytes = Q.kept_bytes - (task.bytes or 0)
Q.move(id, state, 'removed')
Q.commit()
return 'removed'
