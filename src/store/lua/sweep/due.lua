-- Scheduled tasks that are due become ready.
Q.duties[#Q.duties + 1] = function(sweep)
  local ids = redis.call('ZRANGEBYSCORE', Q.LATER, '-inf', Q.NOW, 'LIMIT', 0, sweep.slice)
  Q.load_tasks(ids)
  for _, id in ipairs(ids) do
    local task = Q.read_task(id)
    if task and task.state == 'scheduled' then
      Q.move_task(id, task, 'ready')
      Q.push('LPUSH', task.lane, id, task.claims)
      sweep.counts.due = sweep.counts.due + 1
    end
  end
  Q.call_sliced('ZREM', Q.LATER, ids)
  local following = redis.call('ZRANGE', Q.LATER, 0, 0, 'WITHSCORES')
  if following[2] then sweep.again_at(tonumber(following[2])) end
end
