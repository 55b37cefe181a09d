-- Workflows that were not committed in time, and those that are older than the fleet keeps them.

-- Each may have a thousand steps.
Q.WORKFLOWS_AT_ONCE = 5

local function drop(id)
  local is_read, asked = pcall(cjson.decode, redis.call('HGET', Q.WORKFLOWS, id) or '')
  local flow = Q.read_workflow(id)
  local fields = {}
  for _, step in ipairs(is_read and asked.steps or {}) do fields[#fields + 1] = id .. ' ' .. step.id end
  Q.call_sliced('HDEL', Q.WORKFLOW_ENDS, fields)
  if flow and flow.key then redis.call('HDEL', Q.WORKFLOW_KEYS, flow.key) end
  for _, key in ipairs({ Q.WORKFLOWS, Q.WORKFLOW_STATES, Q.FOLLOWERS, Q.ENDS }) do redis.call('HDEL', key, id) end
  redis.call('ZREM', Q.WORKFLOW_ORDER, id)
end

Q.duties[#Q.duties + 1] = function(sweep)
  if redis.call('EXISTS', Q.WORKFLOWS) == 0 then return end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', Q.WORKFLOW_DEADLINES, '-inf', Q.NOW, 'LIMIT', 0, sweep.slice)) do
    local flow = Q.read_workflow(id)
    if flow and flow.state == 'accepting' then Q.withdraw_workflow(id, flow) end
    redis.call('ZREM', Q.WORKFLOW_DEADLINES, id)
  end
  sweep.again_at_first(Q.WORKFLOW_DEADLINES)

  local old = redis.call('ZRANGEBYSCORE', Q.WORKFLOW_ENDED, '-inf', Q.NOW - sweep.retention_ms, 'LIMIT', 0, Q.WORKFLOWS_AT_ONCE)
  for _, id in ipairs(old) do
    if Q.is_pinned(id) then
      redis.call('ZADD', Q.WORKFLOW_ENDED, Q.NOW - sweep.retention_ms + Q.PINNED_AGAIN_MS, id)
    else
      drop(id)
      redis.call('ZREM', Q.WORKFLOW_ENDED, id)
    end
  end
  if #old == Q.WORKFLOWS_AT_ONCE then sweep.again_at(Q.NOW) end
end

-- Steps whose workflow should be running by now. The sweep names them, and whoever swept asks there.
Q.UNCONFIRMED_AGAIN_MS = 5000

Q.duties[#Q.duties + 1] = function(sweep)
  if not Q.control[8] then return end
  local ids = redis.call('ZRANGEBYSCORE', Q.UNCONFIRMED, '-inf', Q.NOW, 'LIMIT', 0, sweep.slice)
  for _, id in ipairs(ids) do
    local step = Q.step_of(id)
    -- It may have been cancelled meanwhile: then it is to be let go.
    if step and step.is_held then
      local last = #sweep.unconfirmed
      sweep.unconfirmed[last + 1], sweep.unconfirmed[last + 2], sweep.unconfirmed[last + 3] = id, step.home, step.workflow
      sweep.unconfirmed[last + 4] = step.generation
      redis.call('ZADD', Q.UNCONFIRMED, Q.NOW + Q.UNCONFIRMED_AGAIN_MS, id)
    else
      redis.call('ZREM', Q.UNCONFIRMED, id)
    end
  end
  sweep.again_at_first(Q.UNCONFIRMED)
end

-- Steps that have ended, and that no workflow holds.
Q.duties[#Q.duties + 1] = function(sweep)
  if not Q.control[8] then return end
  local ids = redis.call('ZRANGEBYSCORE', Q.FREED, '-inf', Q.NOW - sweep.retention_ms, 'LIMIT', 0, sweep.slice)
  Q.load_tasks(ids)
  for _, id in ipairs(ids) do sweep.remove(id) end
  Q.call_sliced('ZREM', Q.FREED, ids)
  if #ids == sweep.slice then sweep.again_at(Q.NOW) end
end
