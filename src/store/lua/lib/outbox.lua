-- What follows the ends of tasks. FOLLOWERS has what follows a task, one behind the other with blanks between (store/outbox.ts reads
-- it). Each end of a followed task is numbered (ENDS) and leaves an entry `<id>:<number>` in OUTBOX in the same step: `<state> <time>
-- <done> <until> <tries>`: followers behind the first `done` and up to `until` are still to be accepted. OUTBOX_DUE says when that is
-- tried next, OUTBOX_AGES when the task ended, PINS how many entries a task has: as long as it has any, its row stays.

-- Entries that this call has appended: whoever made it relays them at once.
Q.appended = 0
-- A sweep looks after them should the caller die.
Q.RELAYED_WITHIN_MS = 1000

-- How many stand in what follows a task.
function Q.count_followers(followers)
  local _, blanks = string.gsub(followers, ' ', ' ')
  return blanks + 1
end

-- Ends of followed tasks: id, followers, state of each; `done` of its followers are accepted already, or follow an earlier one (0 unless
-- given), and those behind `till` are told of another one (nil = none); `number` is that of the end (the next one of the task unless given).
function Q.append_to_outbox(ends)
  if #ends == 0 then return end
  local words, dues = {}, {}
  for at, one in ipairs(ends) do
    local id = one.id
    local number = one.number or Q.count_up(Q.ENDS, id, Q.NOW_TEXT)
    local entry = id .. ':' .. number
    local till = one.till or Q.count_followers(one.followers)
    words[2 * at - 1], words[2 * at] = entry, table.concat({ one.state, Q.NOW_TEXT, one.done or 0, till, 0 }, ' ')
    dues[2 * at - 1], dues[2 * at] = Q.NOW_TEXT, entry
    Q.count_up(Q.PINS, id, 1)
  end
  Q.call_sliced('HSET', Q.OUTBOX, words)
  Q.call_sliced('ZADD', Q.OUTBOX_DUE, dues)
  Q.call_sliced('ZADD', Q.OUTBOX_AGES, dues)
  Q.appended, Q.has_pins = Q.appended + #ends, true
  Q.wake_at(Q.NOW + Q.RELAYED_WITHIN_MS)
end

-- These tasks have ended. In most queues nothing follows any (lib/followed.lua).
function Q.append_ends(ids, state)
  if not Q.control[6] then return end
  local ends = {}
  for from = 1, #ids, 1000 do
    local to = math.min(from + 999, #ids)
    local followers = redis.call('HMGET', Q.FOLLOWERS, unpack(ids, from, to))
    for at = from, to do
      local of_task = followers[at - from + 1]
      local step = of_task and Q.step_of(ids[at])
      -- What needs a step names this end by its generation.
      local number = step and 'g' .. step.generation or nil
      if of_task then ends[#ends + 1] = { id = ids[at], followers = of_task, state = state, number = number } end
    end
  end
  Q.append_to_outbox(ends)
end
