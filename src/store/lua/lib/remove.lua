-- How tasks go.

-- Everything that is kept under these ids. Called by `commit`.
function Q.drop_rows(ids)
  Q.drop_logs(ids)
  Q.drop_needs(ids)
  if redis.call('EXISTS', Q.SEARCH) == 1 then
    for _, column in ipairs({ Q.TERMS, Q.DEAD_TERMS }) do Q.unindex(column, ids) end
  end
  for _, column in ipairs(Q.ROW) do Q.call_sliced('HDEL', column, ids) end
end

-- What the needs of these tasks have brought (lib/needs.lua), and what their handlers might wait for (lib/waits.lua).
function Q.drop_needs(ids)
  if not Q.control[8] then return end
  for _, id in ipairs(ids) do
    local fields = {}
    for need in string.gmatch(redis.call('HGET', Q.NEEDS, id) or '', ' (%S+) %S+') do fields[#fields + 1] = id .. ' ' .. need end
    Q.call_sliced('HDEL', Q.NEED_VALUES, fields)
    local values = {}
    for source in string.gmatch(redis.call('HGET', Q.SOURCES, id) or '', ' (%S+)=') do values[#values + 1] = id .. ' ' .. source end
    Q.call_sliced('HDEL', Q.SOURCE_VALUES, values)
  end
end

-- A task that waits does not any more. Its reference may stay on the list: a claim drops it, because the task is not ready.
function Q.forget_wait(id, task)
  if task.state == 'scheduled' then redis.call('ZREM', Q.LATER, id) end
  redis.call('ZREM', Q.UNSTARTED, id)
  if task.state ~= 'waiting' then return end
  redis.call('ZREM', Q.WAIT_ENDS, id)
  local anew = string.match(redis.call('HGET', Q.WAITS, id) or '', '^%l+ %d+ %d+ (%d+)')
  if anew then redis.call('HSET', Q.WAITS, id, 'none 0 0 ' .. anew) end
end

-- When the row of a pinned task is to go after all.
Q.PINNED_AGAIN_MS = 1000

-- Drops the row of a task that has ended. Returns whether it did: a task that was replayed meanwhile stays, and one that is pinned
-- stays until it is not.
function Q.remove(id, task)
  -- A later release may know more states.
  if not task or not Q.may_move(task.state, 'removed') then return false end
  -- What follows its end needs the row.
  if Q.is_pinned(id) then
    redis.call('ZADD', Q.KEPT, Q.NOW + Q.PINNED_AGAIN_MS, id)
    return false
  end
  Q.move_many({ id }, task.state, 'removed')
  Q.deltas.bytes = Q.deltas.bytes - (task.bytes or 0)
  Q.removed[#Q.removed + 1] = id
  Q.headers[id], Q.contents[id] = false, false
  return true
end
