-- Tasks that were not started in time, also when nobody pops them.
Q.duties[#Q.duties + 1] = function(sweep)
  local ids = redis.call('ZRANGEBYSCORE', Q.UNSTARTED, '-inf', Q.NOW, 'LIMIT', 0, sweep.slice)
  Q.load_tasks(ids)
  for _, id in ipairs(ids) do
    local task = Q.read_task(id)
    if task and task.claims == 0 and (task.state == 'ready' or task.state == 'scheduled') then
      if task.state == 'scheduled' then redis.call('ZREM', Q.LATER, id) end
      Q.end_task(id, task, 'dead', Q.LAST_ERRORS, Q.EXPIRED_ERROR)
      sweep.counts.expired = sweep.counts.expired + 1
    end
  end
  Q.call_sliced('ZREM', Q.UNSTARTED, ids)
  local following = redis.call('ZRANGE', Q.UNSTARTED, 0, 0, 'WITHSCORES')
  if following[2] then sweep.again_at(tonumber(following[2])) end
end
