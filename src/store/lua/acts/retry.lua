-- A dead task is ready again at the end of its lane, with a fresh budget of attempts and no expiry.
-- Returns 'replayed', the state it is in instead of dead, or 'held' when it is the step of a workflow, which is retried as a whole.
function Q.acts.retry(id, task)
  if task.state ~= 'dead' then return task.state end
  if Q.step_of(id) then return 'held' end
  Q.forget_end(id, task)
  Q.move_task(id, task, 'ready')
  Q.push('LPUSH', task.lane, id, task.claims)
  Q.note_retry(id)
  return 'replayed'
end

-- What stands there of the end of a dead task, or of a cancelled step, and of the runs that led to it.
function Q.forget_end(id, task)
  Q.unindex(Q.DEAD_TERMS, { id })
  -- Who is still to be told of that end is told of its error: it stays as that of an earlier attempt does.
  if not Q.is_pinned(id) then redis.call('HDEL', Q.LAST_ERRORS, id) end
  for _, column in ipairs({ Q.DEAD_TERMS, Q.EXPIRES, Q.CANCELS, Q.PROGRESS, Q.LOST_LEASES }) do
    redis.call('HDEL', column, id)
  end
  redis.call('ZREM', Q.DEAD, id)
  redis.call('ZREM', Q.KEPT, id)
  Q.deltas.bytes = Q.deltas.bytes - task.bytes
  Q.deltas.replayed = (Q.deltas.replayed or 0) + 1
  task.failures, task.crashes, task.finished = 0, 0, nil
end
