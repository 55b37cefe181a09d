-- What their workflow does to its steps.
-- ARGV: `cancel`, `free` or `withdraw`; the generation that is meant; ids of the tasks
-- Reply: how many entries were appended to the outbox

local what, generation, ids = args.text(), args.number(), args.list()
Q.load_tasks(ids)

-- A step that has ended, and is not held any more, is kept as long as the fleet keeps finished tasks, or as it says itself.
local function list(id, state)
  local keep_ms = Q.result_ttl(id)
  if keep_ms then redis.call('ZADD', Q.KEPT, Q.NOW + keep_ms, id) end
  if state == 'dead' then
    redis.call('ZADD', Q.DEAD, Q.NOW, id)
  elseif not keep_ms then
    redis.call('ZADD', Q.FREED, Q.NOW, id)
  end
end

local acts = {}

function acts.cancel(id, task)
  if Q.acts.cancel(id, task) == 'requested' then Q.is_wake_due = true end
end

-- Nothing of the workflow needs its row any more.
function acts.free(id, task, step)
  redis.call('ZREM', Q.UNCONFIRMED, id)
  step.is_held = false
  Q.put_step(id, step)
  if Q.may_move(task.state, 'removed') then list(id, task.state) end
end

-- The workflow was not committed.
function acts.withdraw(id, task, step)
  acts.cancel(id, task)
  acts.free(id, task, step)
end

for _, id in ipairs(ids) do
  local task, step = Q.read_task(id), Q.step_of(id)
  -- One that did not run again in this generation is free already.
  if task and step and step.is_held and step.generation == generation then acts[what](id, task, step) end
end
if Q.is_wake_due then Q.wake(0) end
Q.commit()
return Q.appended
