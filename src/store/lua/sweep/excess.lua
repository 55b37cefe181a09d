-- The oldest finished tasks, as long as all of them keep too much; dead ones only when no others are left.
Q.duties[#Q.duties + 1] = function(sweep)
  if sweep.retention_bytes == 0 then return end
  local held = (tonumber(redis.call('HGET', Q.COUNT, 'bytes')) or 0) + Q.deltas.bytes
  if held <= sweep.retention_bytes then return end
  local from_done = redis.call('EXISTS', Q.DONE) == 1
  local others = redis.call('EXISTS', Q.FREED) == 1 and Q.FREED or Q.DEAD
  local ids = from_done and redis.call('LRANGE', Q.DONE, 0, sweep.slice - 1) or redis.call('ZRANGE', others, 0, sweep.slice - 1)
  Q.load_tasks(ids)
  local dropped = {}
  for _, id in ipairs(ids) do
    local before = Q.deltas.bytes
    redis.call('ZREM', Q.KEPT, id)
    sweep.remove(id)
    dropped[#dropped + 1] = id
    held = held + Q.deltas.bytes - before
    if held <= sweep.retention_bytes then break end
  end
  if #dropped == 0 then return end
  if from_done then redis.call('LPOP', Q.DONE, #dropped) else Q.call_sliced('ZREM', others, dropped) end
  if held > sweep.retention_bytes then sweep.again_at(Q.NOW) end
end
