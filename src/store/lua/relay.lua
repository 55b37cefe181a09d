-- Takes entries of the outbox whose followers are to be accepted now. Each is due again later, should its followers not be accepted:
-- after two seconds, then twice as long each time, at most a minute.
-- ARGV: how many entries at most, bytes of results to answer at most (one entry in any case)
-- Reply: for each entry: its name, words (lib/outbox.lua), followers of its task, and result and error of it as they are now

local most, budget = args.number(), args.number()
local AGAIN_MS, LONGEST_MS = 2000, 60000
local entries = redis.call('ZRANGEBYSCORE', Q.OUTBOX_DUE, '-inf', Q.NOW_TEXT, 'LIMIT', 0, most)
local reply, bytes = {}, 0
for _, entry in ipairs(entries) do
  local words = redis.call('HGET', Q.OUTBOX, entry)
  local before, tries = string.match(words or '', '^(%l+ %d+ %d+ %d+) (%d+)$')
  if not before then
    -- Another program has spoilt it.
    redis.call('ZREM', Q.OUTBOX_DUE, entry)
  else
    local id = string.sub(entry, 1, 36)
    local result, error = redis.call('HGET', Q.RESULTS, id), redis.call('HGET', Q.LAST_ERRORS, id)
    bytes = bytes + (result and #result or 0)
    if #reply > 0 and bytes > budget then break end
    redis.call('ZADD', Q.OUTBOX_DUE, Q.NOW + math.min(LONGEST_MS, AGAIN_MS * 2 ^ tries), entry)
    redis.call('HSET', Q.OUTBOX, entry, before .. ' ' .. tries + 1)
    local last = #reply
    reply[last + 1], reply[last + 2] = entry, words
    reply[last + 3] = redis.call('HGET', Q.FOLLOWERS, id) or ''
    reply[last + 4], reply[last + 5] = result, error
  end
end
return reply
