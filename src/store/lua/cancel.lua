-- Cancels a task that waits, or asks its worker to stop one that runs.
-- ARGV: id; of a child whose parent was cancelled, the mark with which it is accepted (lib/extras.lua): should it not be there yet, it is not
--       accepted any more
-- Reply: 'cancelled', 'requested', 'unknown', or the terminal state it is in already; and how many entries were appended to the outbox

local id, mark = args.text(), args.text()
Q.load_tasks({ id })
local task = Q.read_task(id)
if not task then
  if mark then redis.call('ZADD', Q.MARKS, Q.NOW_TEXT, id .. ' ' .. mark) end
  return { 'unknown', 0 }
end
local word = Q.acts.cancel(id, task)
if word == 'requested' then Q.wake(0) end
Q.commit()
return { word, Q.appended }
