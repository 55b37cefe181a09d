-- Something has come that handlers may wait for (lib/waits.lua). What comes first counts; the end of the wait is decided here, or in sweep/waits.lua.
-- ARGV, for each: id of the task, source, how it ended ('succeeded', 'dead', 'cancelled', 'gone'), digest of what it brought, CBOR of that
-- Reply: for each 'unknown' (the task has no such source), 'known' (the same has come before), 'conflict' (something else has), 'late' (the wait was
--        over before), 'ended' (the task has ended), 'noted' (nobody waits for it now), 'waiting' (for others), or 'ready'

local answers = {}

local function complete(id, source, word, digest, payload)
  local field = id .. ' ' .. source
  local value = redis.call('HGET', Q.SOURCE_VALUES, field)
  if not value then return 'unknown' end
  if value ~= '' then
    local before, of = string.match(value, '^(%l+) (%S+) ')
    if before == 'late' then return 'late' end
    return before == word and of == digest and 'known' or 'conflict'
  end
  Q.load_tasks({ id })
  local task = Q.read_task(id)
  if not task or not Q.may_move(task.state, 'cancelled') then return 'ended' end
  redis.call('HSET', Q.SOURCE_VALUES, field, table.concat({ word, digest, payload }, ' '))
  local wait = task.state == 'waiting' and Q.wait_of(id)
  if not wait or wait.word ~= 'open' or not string.find(wait.sources .. ' ', ' ' .. source .. ' ', 1, true) then return 'noted' end
  wait.unmet = wait.unmet - 1
  if wait.unmet > 0 then
    Q.put_wait(id, wait)
    return 'waiting'
  end
  redis.call('ZREM', Q.WAIT_ENDS, id)
  Q.resume(id, task, wait, 'met')
  return 'ready'
end

while args.are_left() do
  answers[#answers + 1] = complete(args.text(), args.text(), args.text(), args.text(), args.text())
end
Q.commit()
return answers
