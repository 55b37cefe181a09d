-- Finished tasks whose own time to live is over.
Q.duties[#Q.duties + 1] = function(sweep)
  local ids = redis.call('ZRANGEBYSCORE', Q.KEPT, '-inf', Q.NOW, 'LIMIT', 0, sweep.slice)
  Q.load_tasks(ids)
  for _, id in ipairs(ids) do sweep.remove(id) end
  for _, list in ipairs({ Q.KEPT, Q.DEAD }) do Q.call_sliced('ZREM', list, ids) end
  local following = redis.call('ZRANGE', Q.KEPT, 0, 0, 'WITHSCORES')
  if following[2] then sweep.again_at(tonumber(following[2])) end
end
