-- The handler has failed for good.
function Q.outcomes.dead(o)
  Q.remember_error(o.id, o.task, o.payload)
  o.task.failures = o.task.failures + 1
  Q.end_task(o.id, o.task, 'dead', Q.LAST_ERRORS, o.payload, o.keep_ms, o.group)
end
