-- Accepts tasks that come from another queue, each once, under their own ids. It is the mark that tells whether a task has arrived by
-- this entry of that outbox: its row may be gone again. A row that is there without the mark is that of an earlier way out of this
-- queue, which has to be over first.
-- ARGV, for each: id, mark, state that it shall have, its header, its content, and the other values in the order of CARRIED ('' = none)
-- Reply: for each 'arrived' (now or before) or 'later'

local answers = {}

local function arrive(id, state, task, content, values)
  local due, expires, followers, terms = Q.read_time(values[1]), Q.read_time(values[2]), values[3], values[4]
  for at, value in ipairs(values) do
    if value ~= '' then Q.put(Q.CARRIED[at], id, value) end
  end
  -- As give_back_unbegun knows it: a task with an error, which is the sixth value, has been started.
  if expires and task.failures + task.crashes == 0 and values[6] == '' then
    redis.call('ZADD', Q.UNSTARTED, expires, id)
    Q.wake_at(expires)
  end
  if followers ~= '' then
    task.is_followed = true
    Q.note_followed('marked')
  end
  if terms ~= '' then Q.found_by(id, terms) end
  Q.contents[id], task.state, task.finished = content, state, nil
  Q.accept({ id }, { id, content }, state)
  Q.put_header(id, task)
  if state == 'scheduled' then
    redis.call('ZADD', Q.LATER, due or Q.NOW, id)
    Q.wake_at(due or Q.NOW)
  else
    Q.push('LPUSH', task.lane, id, task.claims)
  end
  Q.deltas['moved-in'] = (Q.deltas['moved-in'] or 0) + 1
end

while args.are_left() do
  local id, mark, state, header, content = args.text(), args.text(), args.text(), args.text(), args.text()
  local values, task = args.list(#Q.CARRIED), Q.read_header(header)
  local member = id .. ' ' .. mark
  Q.load_tasks({ id })
  local has_arrived = redis.call('ZSCORE', Q.MARKS, member)
  if not has_arrived and (Q.contents[id] or Q.headers[id] or not task) then
    answers[#answers + 1] = 'later'
  else
    redis.call('ZADD', Q.MARKS, Q.NOW_TEXT, member)
    if not has_arrived then arrive(id, state, task, content, values) end
    answers[#answers + 1] = 'arrived'
  end
end
Q.commit()
return answers
