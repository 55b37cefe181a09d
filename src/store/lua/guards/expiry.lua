-- A task that was never started is dead when it is too late to: the sweep ends it. Most queues have no such tasks.

-- Asks it of every task from now on: there are some, or this call has made one.
function Q.guard_expiry()
  if Q.has_unstarted then return end
  Q.has_unstarted = true
  Q.guards[#Q.guards + 1] = function(id)
    local expires = tonumber(redis.call('ZSCORE', Q.UNSTARTED, id))
    if expires and expires <= Q.NOW then return 'leave' end
    return 'take'
  end
end

if redis.call('EXISTS', Q.UNSTARTED) == 1 then Q.guard_expiry() end
