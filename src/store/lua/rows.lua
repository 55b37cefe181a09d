-- Tasks without what may be large. It stands alone, without the shared library, because it changes nothing.
-- ARGV: bytes of each content that are wanted, bytes of contents to read at most (the first one in any case), a state ('' = any), ids
-- Reply: how many of the ids were looked at, then for each of these that is in the state: id, and one value a column in the order of
--        COLUMN_NAMES; without result and progress

local cut, budget, state, ids = args.number(), args.number(), args.text(), args.list()
local headers = redis.call('HMGET', KEYS[1] .. ':' .. HEADER, unpack(ids))
local rows, read, looked_at = {}, 0, 0
for at, id in ipairs(ids) do
  local is_wanted = state == '' or Q.state_of(headers[at]) == state
  local bytes = is_wanted and redis.call('HSTRLEN', KEYS[1] .. ':' .. CONTENT, id) or 0
  if read > 0 and read + bytes > budget then break end
  looked_at, read = looked_at + 1, read + bytes
  if bytes > 0 then
    local row = { id }
    for column, name in ipairs(COLUMN_NAMES) do
      local is_left_out = name == RESULT or name == PROGRESS
      row[column + 1] = not is_left_out and redis.call('HGET', KEYS[1] .. ':' .. name, id) or false
      if name == CONTENT and row[column + 1] then row[column + 1] = string.sub(row[column + 1], 1, cut) end
    end
    rows[#rows + 1] = row
  end
end
return { looked_at, rows }
