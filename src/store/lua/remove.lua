-- Drops the row of a task that does not run. One that waits is cancelled by it. The row of a followed task goes with a later sweep,
-- once what follows its end is accepted.
-- ARGV: id
-- Reply: 'removed', 'unknown' or 'running'; and how many entries were appended to the outbox

local id = args.text()
Q.load_tasks({ id })
local task = Q.read_task(id)
if not task then
  if not Q.contents[id] then return { 'unknown', 0 } end
  -- Its header is none, so it is in no state that could be counted down.
  Q.removed[1] = id
  redis.call('SREM', Q.RUNNING, id)
  Q.commit()
  return { 'removed', 0 }
end
if task.state == 'running' then return { 'running', 0 } end

if task.state == 'ready' or task.state == 'scheduled' then
  Q.forget_wait(id, task)
  Q.ended({ id }, task.state, 'cancelled')
  task.state, task.finished, task.bytes = 'cancelled', Q.NOW_TEXT, 0
  Q.put_header(id, task)
end
if task.state == 'dead' then redis.call('ZREM', Q.DEAD, id) end
redis.call('ZREM', Q.KEPT, id)
Q.remove(id, task)
Q.commit()
return { 'removed', Q.appended }
