-- Something follows a task from now on. When that has ended, or is gone, this counts as one more end, for this follower alone.
-- ARGV: id, the follower (store/outbox.ts)
-- Reply: 'known' when it follows already, 'following', 'ended', 'gone', or 'moved' (it is on its way to another queue: ask there); and how many entries were appended to the outbox

local id, follower = args.text(), args.text()
Q.load_tasks({ id })
local task = Q.read_task(id)
-- What goes along may have been read already.
if task and task.state == 'moved' then return { 'moved', 0 } end
local before = redis.call('HGET', Q.FOLLOWERS, id)
local all = before and before .. ' ' .. follower or follower
if before and string.find(' ' .. before .. ' ', ' ' .. follower .. ' ', 1, true) then return { 'known', 0 } end
redis.call('HSET', Q.FOLLOWERS, id, all)
Q.note_followed('later')
local _, blanks = string.gsub(all, ' ', ' ')
if not task then
  -- No row keeps the number of its ends, which may have been followed before: the queue counts these.
  local number = 'gone-' .. redis.call('HINCRBY', Q.QUEUE, 'gone', 1)
  Q.append_to_outbox({ { id = id, followers = all, state = 'gone', done = blanks, number = number } })
  return { 'gone', Q.appended }
end
-- A task that has ended is one that can be removed.
if not Q.may_move(task.state, 'removed') then return { 'following', 0 } end
Q.append_to_outbox({ { id = id, followers = all, state = task.state, done = blanks } })
return { 'ended', Q.appended }
