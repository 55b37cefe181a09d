-- Tasks as they are at one moment. It stands alone, without the shared library, because it changes nothing.
-- ARGV: ids
-- Reply: for each task one value a column, in the order of COLUMN_NAMES; a task without a message is none

local ids, reply = args.list(), {}
for at, name in ipairs(COLUMN_NAMES) do
  local values = redis.call('HMGET', KEYS[1] .. ':' .. name, unpack(ids))
  for row = 1, #ids do reply[(row - 1) * #COLUMN_NAMES + at] = values[row] end
end
return reply
