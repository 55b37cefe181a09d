-- Adds to the logs of tasks, and drops them; lib/log-chunks.lua says how they are kept.

function Q.drop_chunks(fields)
  if #fields > 0 then redis.call('HDEL', Q.LOG_LINES, unpack(fields)) end
end

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
  Q.drop_chunks(Q.chunks(id, Q.first_chunk(before), Q.first_chunk(last) - 1))
end

function Q.drop_logs(ids)
  if redis.call('EXISTS', Q.LOGS) == 0 then return end
  for _, id in ipairs(ids) do Q.drop_chunks(Q.chunks_of(id)) end
end
