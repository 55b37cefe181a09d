-- The handler has failed and is tried again: it counts as a failure, and the task is due again after the delay.
function Q.outcomes.failed(o)
  if not o.is_cancelled then
    Q.remember_error(o.id, o.task, o.payload)
    o.task.failures = o.task.failures + 1
  end
  Q.outcomes.snoozed(o)
end
