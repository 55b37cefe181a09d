-- Rows of tasks in the event of their end, for those who wait for it (lib/awaited.lua).

-- Bytes of rows in one event at most: they take memory as long as the event is kept. Larger rows are read when the event has come.
Q.MOST_TOLD = 1024

-- The row of a plain success as its event has it: `<id> <number of columns> <name>=<bytes> …`, a line feed, then the values. nil when they
-- take more than `most` bytes.
function Q.row_told(id, most)
  local head, values, room = { id, #Q.TOLD }, {}, most
  for _, column in ipairs(Q.TOLD) do
    local bytes = redis.call('HSTRLEN', column, id)
    room = room - bytes
    if room < 0 then return nil end
    if bytes > 0 then
      head[#head + 1] = string.match(column, '[^:]+$') .. '=' .. bytes
      values[#values + 1] = redis.call('HGET', column, id)
    end
  end
  return table.concat(head, ' ') .. '\n' .. table.concat(values)
end

-- Adds the rows of these tasks, which are written, to the event of this call.
function Q.tell_rows(ids)
  local room = Q.MOST_TOLD
  for _, id in ipairs(ids) do
    local row = Q.row_told(id, room)
    if row then
      room = room - #row
      Q.events[#Q.events + 1] = 'r'
      Q.events[#Q.events + 1] = row
    end
  end
end
