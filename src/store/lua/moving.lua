-- Tasks that are on their way to another queue, with all that goes along. It changes nothing.
-- ARGV: bytes of contents to read at most (one task in any case), ids
-- Reply: how many of the ids were looked at, then for each of these that is there: id, where it goes (acts/move.lua), header, content,
--        and the other values in the order of CARRIED ('' = none)

local budget, ids = args.number(), args.list()
local rows, looked_at, bytes = {}, 0, 0
for _, id in ipairs(ids) do
  bytes = bytes + redis.call('HSTRLEN', Q.CONTENTS, id)
  if looked_at > 0 and bytes > budget then break end
  looked_at = looked_at + 1
  local where, header = redis.call('HGET', Q.MOVES, id), redis.call('HGET', Q.HEADERS, id)
  local content = redis.call('HGET', Q.CONTENTS, id)
  if where and header and content then
    local row = { id, where, header, content }
    for at, column in ipairs(Q.CARRIED) do row[at + 4] = redis.call('HGET', column, id) or '' end
    rows[#rows + 1] = row
  end
end
return { looked_at, rows }
