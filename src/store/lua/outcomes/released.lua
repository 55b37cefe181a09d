-- The worker gives the task back: it counts as nothing, and the task is ready again at once.
function Q.outcomes.released(o)
  if o.is_cancelled then return Q.outcomes.cancelled(o) end
  Q.count('released')
  Q.give_back(o.id, o.task)
end
