-- Walks all tasks of a queue, bucket by bucket of the hash that holds them: so a walk that goes on at a bucket finds the same tasks in
-- it, whatever has come and gone in others. It stands alone, without the shared library, because it changes nothing. Ids only: the
-- values, which the walk brings along, may be large.
-- ARGV: cursor ('0' begins), about how many, bytes of values to read at most (one bucket in any case), 'all' or 'touched' (without
--       tasks that are ready for the first time: those have no header, and headers are short)
-- Reply: the buckets that hold any: its cursor, that of the next one ('0' = it is the last), ids; then the cursor to go on with

local cursor, want, budget = args.text(), args.number(), args.number()
local column = args.text() == 'all' and Q.CONTENTS or Q.HEADERS
local buckets, found, bytes = {}, 0, 0
-- Empty buckets are walked as well, and cost nearly nothing.
for _ = 1, 20 * want do
  local step = redis.call('HSCAN', column, cursor, 'COUNT', 1)
  local ids = {}
  for at = 1, #step[2], 2 do
    ids[#ids + 1] = step[2][at]
    bytes = bytes + #step[2][at + 1]
  end
  if #ids > 0 then buckets[#buckets + 1] = { cursor, step[1], ids } end
  found = found + #ids
  cursor = step[1]
  if cursor == '0' or found >= want or bytes >= budget then break end
end
return { buckets, cursor }
