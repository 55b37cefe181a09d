-- Cancels a task that waits, or asks its worker to stop one that runs.
-- ARGV: id
-- Reply: 'cancelled', 'requested', 'unknown', or the terminal state it is in already; and how many entries were appended to the outbox

local id = args.text()
Q.load_tasks({ id })
local task = Q.read_task(id)
if not task then return { 'unknown', 0 } end

if task.state == 'ready' or task.state == 'scheduled' then
  Q.forget_wait(id, task)
  Q.end_task(id, task, 'cancelled', Q.LAST_ERRORS, '')
  Q.commit()
  return { 'cancelled', Q.appended }
end
if task.state == 'running' then
  redis.call('HSETNX', Q.CANCELS, id, Q.NOW)
  Q.wake(0)
  return { 'requested', 0 }
end
return { task.state, 0 }
