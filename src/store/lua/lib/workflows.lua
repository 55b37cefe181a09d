-- Workflows, each in its home queue. WORKFLOWS has what was asked for, as JSON, and never changes; WORKFLOW_STATES how far it is, as JSON
-- (WorkflowState in store/workflows.ts). WORKFLOW_ENDS has `<workflow> <task>` to the generation in which the step ended last, and its state.
-- What is to be done to all steps (`start`, `cancel`, `free`, `withdraw`) is an entry of the outbox `<workflow>:<what>-<generation>`.
-- WORKFLOW_DRAFTS has the tasks of one that a tick has started, as CBOR, until its steps are accepted. The first that follows it is then what
-- accepts these (`begin:`), in an entry of its own, `<workflow>:begin-1`. The last that follow a workflow are its webhooks (`webhooks` of the state says
-- how many), which are told how it ended: `<workflow>:ended-<generation>`.

-- How far a workflow is; nil when there is none, or another program has spoilt it.
function Q.read_workflow(id)
  local is_read, flow = pcall(cjson.decode, redis.call('HGET', Q.WORKFLOW_STATES, id) or '')
  return is_read and type(flow) == 'table' and flow.state and flow or nil
end

function Q.write_workflow(id, flow) redis.call('HSET', Q.WORKFLOW_STATES, id, cjson.encode(flow)) end

function Q.tell_steps(id, flow, what)
  local followers = redis.call('HGET', Q.FOLLOWERS, id)
  if not followers then return end
  local done = string.find(followers, '^begin%p') and 1 or 0
  local till = Q.count_followers(followers) - (flow.webhooks or 0)
  local number = what .. '-' .. flow.generation
  Q.append_to_outbox({ { id = id, followers = followers, state = what, done = done, till = till, number = number } })
end

-- The state of a workflow as the event stream tells it (WorkflowNews in store/event-entry.ts).
function Q.tell_workflow(id, flow)
  local last = #Q.events
  Q.events[last + 1], Q.events[last + 2] = 'w', cjson.encode({ id = id, state = flow.state, generation = flow.generation })
end

function Q.end_workflow(id, flow, state)
  flow.state, flow.endedAt = state, Q.NOW
  Q.tell_workflow(id, flow)
  redis.call('ZREM', Q.WORKFLOW_DEADLINES, id)
  redis.call('ZADD', Q.WORKFLOW_ENDED, Q.NOW_TEXT, id)
  local followers = flow.webhooks and redis.call('HGET', Q.FOLLOWERS, id)
  if not followers then return end
  local done = Q.count_followers(followers) - flow.webhooks
  Q.append_to_outbox({ { id = id, followers = followers, state = state, done = done, number = 'ended-' .. flow.generation } })
end

-- One that was not committed is over, and its steps with it. One that never began gives its key back: its caller sends it again.
function Q.withdraw_workflow(id, flow)
  flow.isWithdrawn = true
  if flow.generation == 1 and flow.key then
    redis.call('HDEL', Q.WORKFLOW_KEYS, flow.key)
    flow.key = nil
  end
  redis.call('HDEL', Q.WORKFLOW_DRAFTS, id)
  Q.end_workflow(id, flow, 'cancelled')
  Q.write_workflow(id, flow)
  Q.tell_steps(id, flow, 'withdraw')
end
