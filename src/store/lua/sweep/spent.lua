-- References at the tail of a lane whose tasks are not ready any more (expired, cancelled, moved, gone): a claim would drop them, but
-- where nobody pops they would pile up. What is dropped here is as if it had been popped and claimed in vain: its entry in the ledger stands
-- behind the tail then, and goes with the duty that follows (sweep/lost-pops.lua). Whatever is ready again later is pushed anew.

-- Whether a message refers to a task that is not ready. Any other one a claim makes a task of, or sets aside.
local function is_spent(message)
  local id = Q.id_of(message)
  if not id or string.byte(message, 1) ~= 0x83 or string.find(id, '[^0-9a-f-]') then return false end
  local task = Q.read_task(id)
  return not task or task.state ~= 'ready'
end

local function drop_spent(sweep, lane)
  -- Nearly always the tail is ready, and nothing more has to be read.
  for _, most in ipairs({ 1, sweep.slice }) do
    local messages, ids, spent = redis.call('LRANGE', Q.READY[lane], -most, -1), {}, 0
    for at, message in ipairs(messages) do ids[at] = Q.id_of(message) or '' end
    Q.load_tasks(ids)
    while spent < #messages and is_spent(messages[#messages - spent]) do spent = spent + 1 end
    if spent == 0 then return end
    redis.call('RPOP', Q.READY[lane], spent)
    if most > 1 and spent == most then sweep.again_at(Q.NOW) end
  end
end

Q.duties[#Q.duties + 1] = function(sweep)
  for _, lane in ipairs(Q.LANES) do drop_spent(sweep, lane) end
end
