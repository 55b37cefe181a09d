-- Finished tasks that are older than the fleet keeps them. Those with a longer time of their own leave the listing only.
Q.duties[#Q.duties + 1] = function(sweep)
  local ids = redis.call('LRANGE', Q.DONE, 0, sweep.slice - 1)
  Q.load_tasks(ids)
  local dropped = 0
  for _, id in ipairs(ids) do
    local task = Q.read_task(id)
    -- One that is gone already, or back as another program pushed it again, had a time to live of its own.
    if task and task.finished and task.finished > Q.NOW - sweep.retention_ms then break end
    dropped = dropped + 1
    if task and not redis.call('ZSCORE', Q.KEPT, id) then sweep.remove(id) end
  end
  if dropped > 0 then redis.call('LPOP', Q.DONE, dropped) end
  if dropped == sweep.slice then sweep.again_at(Q.NOW) end
end

-- Those that are dead, likewise.
Q.duties[#Q.duties + 1] = function(sweep)
  local ids = redis.call('ZRANGEBYSCORE', Q.DEAD, '-inf', Q.NOW - sweep.retention_ms, 'LIMIT', 0, sweep.slice)
  Q.load_tasks(ids)
  for _, id in ipairs(ids) do
    if not redis.call('ZSCORE', Q.KEPT, id) then sweep.remove(id) end
  end
  Q.call_sliced('ZREM', Q.DEAD, ids)
  if #ids == sweep.slice then sweep.again_at(Q.NOW) end
end
