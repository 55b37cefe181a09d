-- Tasks that were not started in time, also when no worker pops them.
Q.duties[#Q.duties + 1] = function(sweep)
  sweep.each_due(Q.UNSTARTED, function(id, task)
    if not task or not (task.state == 'ready' or task.state == 'scheduled') then return end
    if task.state == 'scheduled' then redis.call('ZREM', Q.LATER, id) end
    Q.end_task(id, task, 'dead', Q.LAST_ERRORS, Q.EXPIRED_ERROR)
    sweep.counts.expired = sweep.counts.expired + 1
  end)
end
