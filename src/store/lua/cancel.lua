-- Cancels a task that waits, or asks its worker to stop one that runs.
-- ARGV: id
-- Reply: 'cancelled', 'requested', 'unknown', or the terminal state it is in already; and how many entries were appended to the outbox

local id = args.text()
Q.load_tasks({ id })
local task = Q.read_task(id)
if not task then return { 'unknown', 0 } end
local word = Q.acts.cancel(id, task)
if word == 'requested' then Q.wake(0) end
Q.commit()
return { word, Q.appended }
