-- Drops the row of a task that does not run. One that waits is cancelled by it. The row of a followed task goes with a later sweep,
-- once what follows its end is accepted.
-- Returns 'removed', or 'running' or 'moved' when it is, or 'held' when its workflow has not ended.
function Q.acts.delete(id, task)
  if task.state == 'running' or task.state == 'moved' then return task.state end
  local step = Q.step_of(id)
  if step and step.is_held then return 'held' end
  if step then redis.call('ZREM', Q.FREED, id) end
  if task.state == 'ready' or task.state == 'scheduled' or task.state == 'waiting' then
    Q.forget_wait(id, task)
    Q.ended({ id }, task.state, 'cancelled')
    task.state, task.finished, task.bytes = 'cancelled', Q.NOW_TEXT, 0
    Q.put_header(id, task)
  end
  if task.state == 'dead' then redis.call('ZREM', Q.DEAD, id) end
  redis.call('ZREM', Q.KEPT, id)
  Q.remove(id, task)
  return 'removed'
end
