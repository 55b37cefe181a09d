-- What a worker holds as Redis sees it; it adopts what it did not know, because a reply was lost.
-- ARGV: worker
-- Reply: the tasks, as claim.lua answers them

local held = {}
for _, id in ipairs(redis.call('SMEMBERS', running_key(ARGV[1]))) do
  local record = redis.call('HMGET', task_key(id), F.state, F.worker, F.claims, F.failures, F.crashes, F.message)
  if record[1] == 'running' and record[2] == ARGV[1] then
    local at = #held
    held[at + 1], held[at + 2], held[at + 3] = id, record[3], tonumber(record[4]) or 0
    held[at + 4], held[at + 5] = tonumber(record[5]) or 0, record[6]
  else
    redis.call('SREM', running_key(ARGV[1]), id)
  end
end
return held
