-- What handlers have logged. LOGS has how many lines a task has logged in all; line n stands in chunk floor(n / LINES_A_CHUNK), the
-- field `<id>:<chunk>` of LOG_LINES, with its length in bytes in front. The last LINES_KEPT are kept, and what shares a chunk with them.

-- The first chunk that is kept once so many lines were logged.
local function first_chunk(lines) return math.max(0, math.floor((lines - Q.LINES_KEPT) / Q.LINES_A_CHUNK)) end

local function fields_of(id, from, to)
  local fields = {}
  for chunk = from, to do fields[#fields + 1] = id .. ':' .. chunk end
  return fields
end

local function drop(fields)
  if #fields > 0 then redis.call('HDEL', Q.LOG_LINES, unpack(fields)) end
end

-- The chunks of a log of so many lines.
local function chunks_of(id, lines) return fields_of(id, first_chunk(lines), math.ceil(lines / Q.LINES_A_CHUNK) - 1) end

function Q.add_to_log(id, lines)
  local before = tonumber(redis.call('HGET', Q.LOGS, id)) or 0
  local last = before + #lines
  local at = 1
  while at <= #lines do
    local number = before + at - 1
    local chunk = math.floor(number / Q.LINES_A_CHUNK)
    local field, texts = id .. ':' .. chunk, {}
    if number % Q.LINES_A_CHUNK > 0 then texts[1] = redis.call('HGET', Q.LOG_LINES, field) or '' end
    local next_chunk_at = (chunk + 1) * Q.LINES_A_CHUNK - before + 1
    while at <= #lines and at < next_chunk_at do
      texts[#texts + 1] = #lines[at] .. ' ' .. lines[at]
      at = at + 1
    end
    redis.call('HSET', Q.LOG_LINES, field, table.concat(texts))
  end
  redis.call('HSET', Q.LOGS, id, last)
  drop(fields_of(id, first_chunk(before), first_chunk(last) - 1))
end

-- Bytes of Redis' memory that the log takes, about.
function Q.log_bytes(id)
  local lines = tonumber(redis.call('HGET', Q.LOGS, id))
  if not lines then return 0 end
  local bytes = Q.VALUE_BYTES
  for _, field in ipairs(chunks_of(id, lines)) do
    bytes = bytes + Q.VALUE_BYTES + redis.call('HSTRLEN', Q.LOG_LINES, field)
  end
  return bytes
end

function Q.drop_logs(ids)
  if redis.call('EXISTS', Q.LOGS) == 0 then return end
  for _, id in ipairs(ids) do
    local lines = tonumber(redis.call('HGET', Q.LOGS, id))
    if lines then drop(chunks_of(id, lines)) end
  end
end
