-- The handler waits for something, and has no slot meanwhile: it counts as nothing. `payload` is JSON of its sources, and of the time limit
-- (`timeoutMs`) or the time of day (`untilMs`) at which the wait ends by itself.
function Q.outcomes.suspended(o)
  if o.is_cancelled then return Q.outcomes.cancelled(o) end
  Q.count('suspended')
  -- It was started: in time is over.
  redis.call('HDEL', Q.EXPIRES, o.id)
  local asked = cjson.decode(o.payload)
  local ends = asked.untilMs and asked.untilMs + (Q.NOW - Q.WALL) or asked.timeoutMs and Q.NOW + asked.timeoutMs
  local before = Q.control[8] and Q.wait_of(o.id)
  local wait = { anew = before and before.anew or '0', ends = string.format('%.0f', ends or 0), unmet = 0, sources = '' }
  local is_late = false
  for _, source in ipairs(asked.sources) do
    local value = redis.call('HGET', Q.SOURCE_VALUES, o.id .. ' ' .. source) or 'gone'
    if value == '' then wait.unmet = wait.unmet + 1 end
    is_late = is_late or string.find(value, '^late ') ~= nil
  end
  if #asked.sources > 0 then wait.sources = ' ' .. table.concat(asked.sources, ' ') end
  Q.note_needed()
  Q.move_task(o.id, o.task, 'waiting')
  if wait.unmet == 0 and not asked.untilMs then return Q.resume(o.id, o.task, wait, is_late and 'late' or 'met') end
  wait.word = 'open'
  Q.put_wait(o.id, wait)
  if not ends then return end
  redis.call('ZADD', Q.WAIT_ENDS, wait.ends, o.id)
  Q.wake_at(ends)
end
