-- What handlers have logged. LOGS has how many lines a task has logged in all; line n stands in chunk floor(n / LINES_A_CHUNK), the
-- field `<id>:<chunk>` of LOG_LINES, with its length in bytes in front. The last LINES_KEPT are kept, and what shares a chunk with them.

-- The fields of the chunks from one number on to another; those of a whole log of so many lines are kept from `first_chunk` on.
function Q.chunks(id, from, to)
  local fields = {}
  for chunk = from, to do fields[#fields + 1] = id .. ':' .. chunk end
  return fields
end

function Q.first_chunk(lines) return math.max(0, math.floor((lines - Q.LINES_KEPT) / Q.LINES_A_CHUNK)) end

-- The chunks that a task has.
function Q.chunks_of(id)
  local lines = tonumber(redis.call('HGET', Q.LOGS, id))
  if not lines then return {} end
  return Q.chunks(id, Q.first_chunk(lines), math.ceil(lines / Q.LINES_A_CHUNK) - 1)
end
