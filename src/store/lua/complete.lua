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
  local is_over = not task or not Q.may_move(task.state, 'cancelled')
  -- Nobody tells of a child twice: a task that may run again finds how it has ended.
  local is_kept = task and string.sub(source, 1, 1) == '>' and Q.may_move(task.state, 'waiting')
  if is_over and not is_kept then return 'ended' end
  local words = table.concat({ word, digest, payload }, ' ')
  redis.call('HSET', Q.SOURCE_VALUES, field, words)
  if is_over then
    task.bytes, Q.deltas.bytes = task.bytes + #words, Q.deltas.bytes + #words
    Q.put_header(id, task)
    return 'noted'
  end
  local wait = task.state == 'waiting' and Q.wait_of(id)
  if not wait or wait.word ~= 'open' or not string.find(wait.sources .. ' ', ' ' .. source .. ' ', 1, true) then return 'noted' end
  wait.unmet = wait.unmet - 1
  if wait.unmet > 0 then
    Q.put_wait(id, wait)
    return 'waiting'
  end
  if not Q.contents[id] then
    -- It cannot run again: a sweep ends it.
    Q.put_wait(id, wait)
    redis.call('ZADD', Q.WAIT_ENDS, Q.NOW_TEXT, id)
    return 'noted'
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
