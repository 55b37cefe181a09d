-- Runs a dead task again (acts/retry.lua).
-- ARGV: id, whether it begins anew ('1', else ''), which drops its checkpoint; its content with another input, when it shall have one,
--       and what it is found by then ('' = nothing). No worker has the old one then: a claim brings the content.
-- Reply: 'replayed', 'unknown', 'held' (it is the step of a workflow), or the state it is in instead of dead

local id, is_anew, content, terms = args.text(), args.text() == '1', args.text(), args.text()
Q.load_tasks({ id })
local task = Q.read_task(id)
-- Without its content there is no such task.
if not task or not Q.contents[id] then return 'unknown' end
if task.state == 'dead' and Q.step_of(id) then return 'held' end
if content and task.state == 'dead' then
  Q.contents[id] = content
  Q.put(Q.CONTENTS, id, content)
  Q.unindex(Q.TERMS, { id })
  redis.call('HDEL', Q.TERMS, id)
  if terms ~= '' then Q.found_by(id, terms) end
end
if is_anew and task.state == 'dead' then
  redis.call('HDEL', Q.CHECKPOINTS, id)
  -- It asks for children and tokens anew (lib/waits.lua).
  local anew = string.match(redis.call('HGET', Q.WAITS, id) or '', '^%l+ %d+ %d+ (%d+)')
  local sources = redis.call('HGET', Q.SOURCES, id)
  for source in string.gmatch(sources or '', ' (%S+)=') do redis.call('HDEL', Q.SOURCE_VALUES, id .. ' ' .. source) end
  redis.call('HDEL', Q.SOURCES, id)
  if anew or sources then redis.call('HSET', Q.WAITS, id, 'none 0 0 ' .. (anew or 0) + 1) end
end
local word = Q.acts.retry(id, task)
Q.commit()
return word
