-- A task that was never started is dead when it is too late to: the sweep ends it. Most queues have no such tasks.
Q.has_unstarted = redis.call('EXISTS', Q.UNSTARTED) == 1
if Q.has_unstarted then
  Q.guards[#Q.guards + 1] = function(id)
    local expires = tonumber(redis.call('ZSCORE', Q.UNSTARTED, id))
    if expires and expires <= Q.NOW then return 'leave' end
    return 'take'
  end
end
