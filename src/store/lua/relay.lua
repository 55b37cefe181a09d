-- Notes that followers were accepted, then takes entries of the outbox whose followers are to be accepted now. Each of these is due
-- again later, should its followers not be accepted: after two seconds, then twice as long each time, at most a minute.
-- ARGV: how many entries at most, bytes of results to answer at most (one entry in any case); then, for each note: the entry, how many
--       of its followers are done now ('' = all: the entry goes)
-- Reply: for each entry: its name, words (lib/outbox.lua), followers of its task, result and error of it as they are now, and what it
--        says as a step (lib/steps.lua)

local most, budget = args.number(), args.number()
local AGAIN_MS, LONGEST_MS = 2000, 60000

-- There are more of them: at once, if all of these were.
local function go_on(entry, done)
  local state, ended, before, rest = string.match(redis.call('HGET', Q.OUTBOX, entry) or '', '^(%l+) (%d+) (%d+) (%d+ %d+)$')
  if state and tonumber(done) > tonumber(before) then
    redis.call('HSET', Q.OUTBOX, entry, table.concat({ state, ended, done, rest }, ' '))
    redis.call('ZADD', Q.OUTBOX_DUE, Q.NOW_TEXT, entry)
  end
end

local all_done = {}
while args.are_left() do
  local entry, done = args.text(), args.text()
  if done == '' then all_done[#all_done + 1] = entry else go_on(entry, done) end
end
for _, entry in ipairs(Q.drop_entries(all_done)) do
  -- One that was followed although it was gone has no row that would take these along.
  if string.sub(entry, 38, 42) == 'gone-' then
    local id = string.sub(entry, 1, 36)
    if redis.call('HEXISTS', Q.PINS, id) + redis.call('HEXISTS', Q.CONTENTS, id) == 0 then
      redis.call('HDEL', Q.FOLLOWERS, id)
      redis.call('HDEL', Q.ENDS, id)
    end
  end
end

local entries = most > 0 and redis.call('ZRANGEBYSCORE', Q.OUTBOX_DUE, '-inf', Q.NOW_TEXT, 'LIMIT', 0, most) or {}
if #entries == 0 then return {} end
local ids = {}
for at, entry in ipairs(entries) do ids[at] = string.sub(entry, 1, 36) end
local words, followers = redis.call('HMGET', Q.OUTBOX, unpack(entries)), redis.call('HMGET', Q.FOLLOWERS, unpack(ids))
local reply, tried, again, again_at, bytes = {}, {}, {}, {}, 0
for at, entry in ipairs(entries) do
  local before, state, tries = string.match(words[at] or '', '^((%l+) %d+ %d+ %d+) (%d+)$')
  if not before then
    -- Another program has spoilt it.
    redis.call('ZREM', Q.OUTBOX_DUE, entry)
  else
    local result = state == 'succeeded' and redis.call('HGET', Q.RESULTS, ids[at])
    bytes = bytes + (result and #result or 0)
    if #reply > 0 and bytes > budget then break end
    tried[#tried + 1], tried[#tried + 2] = entry, before .. ' ' .. tries + 1
    again_at[tries] = again_at[tries] or string.format('%.0f', Q.NOW + math.min(LONGEST_MS, AGAIN_MS * 2 ^ tries))
    again[#again + 1], again[#again + 2] = again_at[tries], entry
    local last = #reply
    reply[last + 1], reply[last + 2], reply[last + 3], reply[last + 4] = entry, words[at], followers[at] or '', result
    reply[last + 5] = state ~= 'succeeded' and redis.call('HGET', Q.LAST_ERRORS, ids[at])
    reply[last + 6] = Q.control[8] and redis.call('HGET', Q.STEPS, ids[at])
  end
end
if #tried > 0 then
  redis.call('HSET', Q.OUTBOX, unpack(tried))
  redis.call('ZADD', Q.OUTBOX_DUE, unpack(again))
end
return reply
