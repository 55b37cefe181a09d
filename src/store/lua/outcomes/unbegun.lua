-- The worker gives the task back before its handler has begun: it counts as nothing, and still has to be started in time.
function Q.outcomes.unbegun(o)
  if o.is_cancelled then return Q.outcomes.cancelled(o) end
  Q.count('released')
  Q.give_back_unbegun(o.id, o.task)
end
