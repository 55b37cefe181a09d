-- Steps of workflows. STEPS has of such a task `held` or `free`, its generation, the home queue and the id of its workflow, and the name of
-- the step, with blanks between. As long as it is held it stands on no list from which finished tasks are removed.
Q.steps = {}

-- Its words; nil when the task is no step.
function Q.step_of(id)
  if not Q.control[8] then return nil end
  Q.load(Q.STEPS, Q.steps, { id })
  local held, generation, home, workflow, name = string.match(Q.steps[id] or '', '^(%l+) (%d+) (%S+) (%S+) (%S+)$')
  return held and { is_held = held == 'held', generation = tonumber(generation), home = home, workflow = workflow, name = name }
end

function Q.put_step(id, step)
  local text = table.concat({ step.is_held and 'held' or 'free', step.generation, step.home, step.workflow, step.name }, ' ')
  Q.steps[id] = text
  redis.call('HSET', Q.STEPS, id, text)
end
