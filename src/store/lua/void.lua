-- Looks for members of a batch that were to be accepted a while ago. One that is not there is not accepted any more: its mark is set
-- (lib/extras.lua).
-- ARGV: mark, ids
-- Reply: for each 1 when it is there, else 0

local mark, ids = args.text(), args.list()
local found = {}
for at, id in ipairs(ids) do
  redis.call('ZADD', Q.MARKS, Q.NOW_TEXT, id .. ' ' .. mark)
  found[at] = redis.call('HEXISTS', Q.CONTENTS, id)
end
return found
