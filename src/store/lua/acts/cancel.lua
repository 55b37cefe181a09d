-- Cancels a task that waits. One that runs is to be stopped by its worker, which has to be woken then.
-- Returns 'cancelled', 'requested', or the state that it is in already; and whether it was requested for the first time.
function Q.acts.cancel(id, task)
  if task.state == 'ready' or task.state == 'scheduled' or task.state == 'waiting' then
    Q.forget_wait(id, task)
    Q.end_task(id, task, 'cancelled', Q.LAST_ERRORS, '')
    return 'cancelled'
  end
  if task.state ~= 'running' then return task.state end
  return 'requested', redis.call('HSETNX', Q.CANCELS, id, Q.NOW) == 1
end
