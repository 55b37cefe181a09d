-- The worker gives the task back after its handler has begun: it counts as nothing, and the task is ready again at once.
function Q.outcomes.released(o)
  if o.is_cancelled then return Q.outcomes.cancelled(o) end
  Q.count('released')
  -- It was started: in time is over.
  redis.call('HDEL', Q.EXPIRES, o.id)
  Q.give_back(o.id, o.task)
end
