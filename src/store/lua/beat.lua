-- Renews a worker's lease and compares notes with it.
-- ARGV: worker, lease in ms, then id and claim number of each task the worker knows it holds
-- Reply: 'paused' or 'open', how many tasks Redis says it holds, ids it has lost, ids to cancel

local worker = ARGV[1]
renew_lease(worker, tonumber(ARGV[2]))

local lost, cancel = {}, {}
for at = 3, #ARGV, 2 do
  local id = ARGV[at]
  local record = redis.call('HMGET', task_key(id), F.state, F.claims, F.worker, F.cancel)
  if record[1] ~= 'running' or record[2] ~= ARGV[at + 1] or record[3] ~= worker then
    lost[#lost + 1] = id
  elseif record[4] then
    cancel[#cancel + 1] = id
  end
end
return { PAUSED and 'paused' or 'open', redis.call('SCARD', running_key(worker)), lost, cancel }
