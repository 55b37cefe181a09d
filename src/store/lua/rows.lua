-- Tasks without what may be large. It stands alone, without the shared library, because it changes nothing.
-- ARGV: bytes of each content that are wanted, bytes of contents to read at most (the first one in any case), a state ('' = any), ids
-- Reply: how many of the ids were looked at, then for each of these that is in the state: id, and one value a column in the order of
--        COLUMN_ORDER; without result, progress and what follows it

local cut, budget, state, ids = args.number(), args.number(), args.text(), args.list()
local headers = redis.call('HMGET', Q.HEADERS, unpack(ids))
local rows, read, looked_at = {}, 0, 0
for at, id in ipairs(ids) do
  local is_wanted = state == '' or Q.state_of(headers[at]) == state
  local bytes = is_wanted and redis.call('HSTRLEN', Q.CONTENTS, id) or 0
  if read > 0 and read + bytes > budget then break end
  looked_at, read = looked_at + 1, read + bytes
  if bytes > 0 then
    local row = { id }
    for at_column, column in ipairs(Q.READ) do
      local is_left_out = column == Q.RESULTS or column == Q.PROGRESS or column == Q.FOLLOWERS
      local value = not is_left_out and redis.call('HGET', column, id) or false
      row[at_column + 1] = column == Q.CONTENTS and value and string.sub(value, 1, cut) or value
    end
    rows[#rows + 1] = row
  end
end
return { looked_at, rows }
