-- Notes that followers were accepted.
-- ARGV, for each entry of the outbox: its name, how many of its followers are done now ('' = all: the entry goes)
-- Reply: how many entries have gone

local gone = 0
while args.are_left() do
  local entry, done = args.text(), args.text()
  local id = string.sub(entry, 1, 36)
  if done == '' then
    if redis.call('HDEL', Q.OUTBOX, entry) == 1 then
      gone = gone + 1
      redis.call('ZREM', Q.OUTBOX_DUE, entry)
      redis.call('ZREM', Q.OUTBOX_AGES, entry)
      if redis.call('HINCRBY', Q.PINS, id, -1) <= 0 then
        redis.call('HDEL', Q.PINS, id)
        -- One that was followed although it was gone has no row that would take these along.
        if redis.call('HEXISTS', Q.CONTENTS, id) == 0 then
          redis.call('HDEL', Q.FOLLOWERS, id)
          redis.call('HDEL', Q.ENDS, id)
        end
      end
    end
  else
    local state, ended, before, upto, tries = string.match(redis.call('HGET', Q.OUTBOX, entry) or '', '^(%l+) (%d+) (%d+) (%d+) (%d+)$')
    if state and tonumber(done) > tonumber(before) then
      redis.call('HSET', Q.OUTBOX, entry, table.concat({ state, ended, done, upto, tries }, ' '))
      -- There are more of them: at once, if all of these were.
      redis.call('ZADD', Q.OUTBOX_DUE, Q.NOW_TEXT, entry)
    end
  end
end
return gone
