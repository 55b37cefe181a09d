-- Tasks as they are at one moment. It stands alone, without the shared library, because it changes nothing.
-- ARGV: ids
-- Reply: for each task one value a column, in the order of COLUMN_ORDER; a task without a message is none

local ids, reply = args.list(), {}
for at, column in ipairs(Q.READ) do
  local values = redis.call('HMGET', column, unpack(ids))
  for row = 1, #ids do reply[(row - 1) * #Q.READ + at] = values[row] end
end
return reply
