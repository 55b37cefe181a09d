-- How one task ends.

-- Ends one task, whose row was loaded. `payload` goes to `column`, the result or the last error.
-- `keep_ms` is the time to live that a worker has read in its message, or nil: not every task ends with a worker. `group` as in
-- `note_death`.
function Q.end_task(id, task, to, column, payload, keep_ms, group)
  local terms
  if to == 'dead' then payload, terms = Q.note_death(id, task, payload, group) end
  keep_ms = keep_ms or Q.result_ttl(id)
  if payload ~= '' then Q.put(column, id, payload) end
  if keep_ms and not Q.step_of(id) then redis.call('ZADD', Q.KEPT, Q.NOW + keep_ms, id) end
  local from = task.state
  task.state, task.finished = to, Q.NOW_TEXT
  task.bytes = Q.bytes_kept(id, to, payload, keep_ms) + (terms and Q.bytes_of_terms(terms) or 0)
  Q.put_header(id, task)
  Q.ended({ id }, from, to, task.bytes)
end

-- A task whose content another program has taken away cannot run again: one that would is cancelled. Returns whether it was.
function Q.end_without_content(id, task)
  if Q.contents[id] then return false end
  Q.end_task(id, task, 'cancelled', Q.LAST_ERRORS, '')
  return true
end

-- What the task was accepted with: how long it is kept once it has ended, in ms; nil = as long as the fleet keeps tasks.
function Q.result_ttl(id)
  if Q.has_result_ttls == nil then Q.has_result_ttls = redis.call('EXISTS', Q.RESULT_TTLS) == 1 end
  return Q.has_result_ttls and tonumber(redis.call('HGET', Q.RESULT_TTLS, id)) or nil
end

-- Bytes of Redis' memory that a task takes once it has ended, about. bytesKept in record.ts counts the plain ones.
function Q.bytes_kept(id, to, payload, keep_ms)
  local bytes = Q.ROW_BYTES + #(Q.contents[id] or '')
  if payload ~= '' then bytes = bytes + Q.VALUE_BYTES + #payload end
  local progress = redis.call('HSTRLEN', Q.PROGRESS, id)
  if progress > 0 then bytes = bytes + Q.VALUE_BYTES + progress end
  local checkpoint = redis.call('HSTRLEN', Q.CHECKPOINTS, id)
  if checkpoint > 0 then bytes = bytes + Q.VALUE_BYTES + checkpoint end
  -- Sorted sets need more than a list.
  if to == 'dead' then bytes = bytes + Q.VALUE_BYTES end
  if keep_ms then bytes = bytes + Q.VALUE_BYTES end
  local errors = redis.call('HSTRLEN', Q.ERRORS, id)
  if errors > 0 then bytes = bytes + Q.VALUE_BYTES + errors end
  if Q.control[6] then bytes = bytes + redis.call('HSTRLEN', Q.FOLLOWERS, id) end
  local needed = Q.control[8] and redis.call('HGET', Q.UNMET, id)
  if needed then bytes = bytes + Q.VALUE_BYTES + redis.call('HSTRLEN', Q.NEEDS, id) + (string.match(needed, '%d+$') or 0) end
  if Q.control[8] then bytes = bytes + Q.bytes_of_sources(id) end
  local terms = Q.control[7] and redis.call('HGET', Q.TERMS, id)
  if terms then bytes = bytes + Q.bytes_of_terms(terms) end
  for _, field in ipairs(Q.chunks_of(id)) do
    bytes = bytes + Q.VALUE_BYTES + redis.call('HSTRLEN', Q.LOG_LINES, field)
  end
  return bytes
end

-- Bytes of what its handler might wait for (lib/waits.lua), about.
function Q.bytes_of_sources(id)
  local sources = redis.call('HGET', Q.SOURCES, id)
  local bytes = redis.call('HSTRLEN', Q.WAITS, id)
  if not sources then return bytes end
  for source in string.gmatch(sources, ' (%S+)=') do
    bytes = bytes + Q.VALUE_BYTES + redis.call('HSTRLEN', Q.SOURCE_VALUES, id .. ' ' .. source)
  end
  return bytes + Q.VALUE_BYTES + #sources
end
