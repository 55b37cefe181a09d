-- What happens to workflows.
-- ARGV: what, and then for `commit`, `withdraw`: id, generation; for `cancel`: id; for `retry`: id, ms within which it has to be committed;
--       for `ended`, for each end of a step: id of the workflow, id of the task, generation, state
-- Reply: a list whose first item is how many entries were appended to the outbox, the second the state that the workflow is in now
--        ('unknown' = there is none); of `retry`, when it is accepted again: generation, then ids of the steps that run again

local verbs = {}

function verbs.withdraw()
  local id, generation = args.text(), args.number()
  local flow = Q.read_workflow(id)
  if not flow then return 'unknown' end
  if flow.state == 'accepting' and flow.generation == generation then Q.withdraw_workflow(id, flow) end
  return flow.state
end

local function cancel(id, flow)
  if flow.state == 'accepting' then return Q.withdraw_workflow(id, flow) end
  if flow.state ~= 'running' or flow.isCancelling then return end
  flow.isCancelling = true
  Q.write_workflow(id, flow)
  Q.tell_steps(id, flow, 'cancel')
end

function verbs.cancel()
  local id = args.text()
  local flow = Q.read_workflow(id)
  if not flow then return 'unknown' end
  local before = flow.state
  cancel(id, flow)
  return before
end

-- How a workflow ends whose steps have all ended.
local function end_of(flow)
  if not flow.dead and not flow.cancelled then return 'succeeded' end
  if flow.isCancelling and not flow.cancelsSiblings then return 'cancelled' end
  return flow.dead and 'dead' or 'cancelled'
end

-- Its last step has ended.
local function finish(id, flow)
  Q.end_workflow(id, flow, end_of(flow))
  Q.write_workflow(id, flow)
  Q.tell_steps(id, flow, 'free')
end

-- One of its steps is dead: the others are cancelled when that is asked for.
local function cancel_siblings(id, flow)
  if flow.isCancelling then return end
  local is_read, asked = pcall(cjson.decode, redis.call('HGET', Q.WORKFLOWS, id) or '')
  if not is_read or not asked.cancelSiblings then return end
  flow.cancelsSiblings = true
  cancel(id, flow)
end

function verbs.commit()
  local id, generation = args.text(), args.number()
  local flow = Q.read_workflow(id)
  if not flow then return 'unknown' end
  if flow.state ~= 'accepting' or flow.generation ~= generation then return flow.state end
  flow.state = 'running'
  flow.startedAt = flow.startedAt or Q.NOW
  redis.call('ZREM', Q.WORKFLOW_DEADLINES, id)
  redis.call('HDEL', Q.WORKFLOW_DRAFTS, id)
  Q.tell_workflow(id, flow)
  -- Steps may have been cancelled before it, and those that need them have ended with them.
  if flow.open <= 0 then
    finish(id, flow)
    return flow.state
  end
  Q.write_workflow(id, flow)
  Q.tell_steps(id, flow, 'start')
  if flow.dead then cancel_siblings(id, flow) end
  return flow.state
end

-- Only the first end of a step in a generation counts.
local function note_end(id, task, generation, state)
  local flow = Q.read_workflow(id)
  if not flow then return end
  local field = id .. ' ' .. task
  local before = tonumber(string.match(redis.call('HGET', Q.WORKFLOW_ENDS, field) or '0', '^%d+'))
  if before >= generation then return end
  redis.call('HSET', Q.WORKFLOW_ENDS, field, generation .. ' ' .. state)
  if flow.state ~= 'accepting' and flow.state ~= 'running' or flow.generation ~= generation then return end
  flow.open = flow.open - 1
  if state == 'dead' then flow.dead = (flow.dead or 0) + 1 end
  if state == 'cancelled' then flow.cancelled = (flow.cancelled or 0) + 1 end
  -- What follows from it the commit does, as long as that is to come.
  if flow.state == 'accepting' then return Q.write_workflow(id, flow) end
  if flow.open <= 0 then return finish(id, flow) end
  Q.write_workflow(id, flow)
  if state == 'dead' then cancel_siblings(id, flow) end
end

function verbs.ended()
  while args.are_left() do note_end(args.text(), args.text(), args.number(), args.text()) end
  return 'noted'
end

function verbs.retry()
  local id, within_ms = args.text(), args.number()
  local flow = Q.read_workflow(id)
  if not flow then return 'unknown' end
  -- The caller before has died, or did not hear the answer: its retry is gone on with.
  local goes_on = flow.state == 'accepting' and flow.generation > 1
  if not goes_on and flow.state ~= 'dead' and flow.state ~= 'cancelled' then return flow.state end
  -- Not all of its steps were ever there.
  if flow.isWithdrawn and flow.generation == 1 then return flow.state end
  local again = {}
  for _, step in ipairs(cjson.decode(redis.call('HGET', Q.WORKFLOWS, id)).steps) do
    local ended = redis.call('HGET', Q.WORKFLOW_ENDS, id .. ' ' .. step.id)
    if not ended or not string.find(ended, 'succeeded', 1, true) then again[#again + 1] = step.id end
  end
  if goes_on then return flow.state, flow.generation, again end
  flow.state, flow.generation, flow.open = 'accepting', flow.generation + 1, #again
  flow.dead, flow.cancelled, flow.isCancelling, flow.cancelsSiblings, flow.isWithdrawn, flow.endedAt = nil, nil, nil, nil, nil, nil
  redis.call('ZREM', Q.WORKFLOW_ENDED, id)
  redis.call('ZADD', Q.WORKFLOW_DEADLINES, Q.NOW + within_ms, id)
  Q.wake_at(Q.NOW + within_ms)
  Q.write_workflow(id, flow)
  return flow.state, flow.generation, again
end

local state, generation, again = verbs[args.text()]()
if #Q.events > 0 then Q.emit(0, Q.events) end
return { Q.appended, state, generation or 0, again or {} }
