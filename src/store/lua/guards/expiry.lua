-- A task that was never started is dead when it is too late to. Of one that may be started in time nothing is remembered any more, so
-- this guard is the last of all. Most queues have no such tasks.
if redis.call('EXISTS', Q.UNSTARTED) == 1 then
  Q.guards[#Q.guards + 1] = function(id)
    local expires = redis.call('ZSCORE', Q.UNSTARTED, id)
    if not expires then return 'take' end
    redis.call('ZREM', Q.UNSTARTED, id)
    if tonumber(expires) > Q.NOW then return 'take' end
    return 'dead', Q.EXPIRED_ERROR
  end
end
