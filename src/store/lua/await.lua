-- A task as it is, for somebody who waits for its end: unless it has ended, the event of its end will have its row (lib/awaited.lua).
-- ARGV: id
-- Reply: one value a column, in the order of COLUMN_ORDER; a task without a message is none

-- Who waits longer reads the task when it has ended. Nobody removes the marks of those that have given up.
Q.AWAITED_MS = 60000

local id, reply, row = args.text(), {}, {}
for at, column in ipairs(Q.READ) do
  local value = redis.call('HGET', column, id)
  reply[at], row[column] = value, value
end
if row[Q.CONTENTS] and Q.may_move(Q.state_of(row[Q.HEADERS]), 'cancelled') and not Q.REFUSAL then
  redis.call('ZADD', Q.AWAITED, Q.NOW, id)
  redis.call('ZREMRANGEBYSCORE', Q.AWAITED, '-inf', Q.NOW - Q.AWAITED_MS)
  redis.call('PEXPIRE', Q.AWAITED, Q.AWAITED_MS)
end
return reply
