-- What follows the ends of tasks. FOLLOWERS has what follows a task, one behind the other with blanks between (store/outbox.ts reads
-- it). Each end of a followed task is numbered (ENDS) and leaves an entry `<id>:<number>` in OUTBOX in the same step: `<state> <time>
-- <done> <until> <tries>`: followers behind the first `done` and up to `until` are still to be accepted. OUTBOX_DUE says when that is
-- tried next, OUTBOX_AGES when the task ended, PINS how many entries a task has: as long as it has any, its row stays.

-- Entries that this call has appended: whoever made it relays them at once.
Q.appended = 0
-- A sweep looks after them should the caller die.
Q.RELAYED_WITHIN_MS = 1000

-- `done` followers of this end are accepted already, or follow an earlier one. `number` is that of the end, the next one of the task
-- unless given.
function Q.append_end(id, followers, state, done, number)
  number = number or redis.call('HINCRBY', Q.ENDS, id, 1)
  local entry = id .. ':' .. number
  local _, blanks = string.gsub(followers, ' ', ' ')
  redis.call('HSET', Q.OUTBOX, entry, table.concat({ state, Q.NOW_TEXT, done, blanks + 1, 0 }, ' '))
  redis.call('ZADD', Q.OUTBOX_DUE, Q.NOW_TEXT, entry)
  redis.call('ZADD', Q.OUTBOX_AGES, Q.NOW_TEXT, entry)
  redis.call('HINCRBY', Q.PINS, id, 1)
  Q.appended, Q.has_pins = Q.appended + 1, true
  Q.wake_at(Q.NOW + Q.RELAYED_WITHIN_MS)
end

-- These tasks have ended. In most queues nothing follows any (`followed` of the queue, see lib/followed.lua).
function Q.append_ends(ids, state)
  if not Q.control[6] then return end
  for from = 1, #ids, 1000 do
    local to = math.min(from + 999, #ids)
    local followers = redis.call('HMGET', Q.FOLLOWERS, unpack(ids, from, to))
    for at = from, to do
      local of_task = followers[at - from + 1]
      if of_task then Q.append_end(ids[at], of_task, state, 0) end
    end
  end
end
