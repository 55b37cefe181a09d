-- Drops the row of a task that does not run (acts/delete.lua).
-- ARGV: id
-- Reply: 'removed', 'unknown', 'running', 'moved' or 'held' (its workflow has not ended); and how many entries were appended to the outbox

local id = args.text()
Q.load_tasks({ id })
local task = Q.read_task(id)
local word = 'removed'
if task then
  word = Q.acts.delete(id, task)
else
  if not Q.contents[id] then return { 'unknown', 0 } end
  -- Its header is none, so it is in no state that could be counted down.
  Q.removed[1] = id
  redis.call('SREM', Q.RUNNING, id)
end
Q.commit()
return { word, Q.appended }
