-- Steps that have failed wait again, for another generation of their workflow.
-- ARGV: generation, ms within which that has to be committed; for each: id, its needs (lib/needs.lua); those that it had before keep what they
--       have brought
-- Reply: for each 'waiting' (now or before), 'later' when it is still to hear that the retry before was taken back, or 'gone'

local generation, within_ms = args.number(), args.number()
local answers = {}

local function renew(id, needs)
  local before = {}
  for need in string.gmatch(redis.call('HGET', Q.NEEDS, id) or '', ' (%S+) %S+') do before[need] = true end
  local unmet, bytes = 0, 0
  for need in string.gmatch(needs, ' (%S+) %S+') do
    local field = id .. ' ' .. need
    local value = before[need] and redis.call('HGET', Q.NEED_VALUES, field) or ''
    before[need] = nil
    if value == '' then
      unmet = unmet + 1
      redis.call('HSET', Q.NEED_VALUES, field, '')
    end
    bytes = bytes + #value
  end
  for need in pairs(before) do redis.call('HDEL', Q.NEED_VALUES, id .. ' ' .. need) end
  redis.call('HSET', Q.NEEDS, id, needs)
  redis.call('HSET', Q.UNMET, id, unmet .. ' ' .. bytes)
end

local function wait_again(id, needs)
  Q.load_tasks({ id })
  local task, step = Q.read_task(id), Q.step_of(id)
  if not task or not step then return 'gone' end
  if step.generation >= generation then return 'waiting' end
  if task.state == 'waiting' then return 'later' end
  if task.state ~= 'dead' and task.state ~= 'cancelled' then return 'gone' end
  step.is_held, step.generation = true, generation
  Q.put_step(id, step)
  renew(id, needs)
  Q.forget_end(id, task)
  redis.call('ZREM', Q.FREED, id)
  Q.move_task(id, task, 'waiting')
  redis.call('ZADD', Q.UNCONFIRMED, Q.NOW + within_ms, id)
  Q.wake_at(Q.NOW + within_ms)
  return 'waiting'
end

while args.are_left() do answers[#answers + 1] = wait_again(args.text(), args.text()) end
Q.commit()
return answers
