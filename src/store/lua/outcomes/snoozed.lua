-- Not now: it counts as no attempt, and the task is due again after the delay.
function Q.outcomes.snoozed(o)
  if o.is_cancelled then return Q.outcomes.cancelled(o) end
  Q.count(o.word)
  Q.put(Q.LAST_ERRORS, o.id, o.payload)
  Q.move_task(o.id, o.task, 'scheduled')
  Q.plan(o.id, Q.NOW + o.delay_ms)
end
