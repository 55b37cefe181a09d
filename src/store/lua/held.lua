-- What a worker holds as Redis sees it; it adopts what it did not know, because a reply was lost.
-- ARGV: worker
-- Reply: the tasks, as claim.lua answers them

local worker = args.text()
local ids = redis.call('SMEMBERS', Q.running_key(worker))
Q.load_tasks(ids)
local held, gone = {}, {}
for _, id in ipairs(ids) do
  local task = Q.read_task(id)
  if task and task.state == 'running' and task.worker == worker then
    local at = #held
    held[at + 1], held[at + 2], held[at + 3] = id, Q.headers[id], Q.contents[id]
  else
    gone[#gone + 1] = id
  end
end
Q.call_sliced('SREM', Q.running_key(worker), gone)
return held
