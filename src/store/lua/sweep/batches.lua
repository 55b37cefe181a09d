-- Numbers of batches that were given a while ago, and not confirmed: the sweep names them, and whoever swept looks for their tasks. And batches
-- that ended longer ago than the fleet keeps them.

Q.BATCHES_AT_ONCE = 5
Q.RESERVED_AGAIN_MS = 5000

-- Members of a batch whose later ends one sweep forgets.
Q.MEMBERS_AT_ONCE = 1000

-- Forgets a part of the later ends of its members. Returns whether that was the last one.
local function drop_ends(id, batch)
  if redis.call('EXISTS', Q.BATCH_ENDS) == 0 then return true end
  local fields, first = {}, batch.dropped or 0
  batch.dropped = math.min(batch.next, first + Q.MEMBERS_AT_ONCE)
  for number = first, batch.dropped - 1 do fields[#fields + 1] = id .. ' ' .. number end
  Q.call_sliced('HDEL', Q.BATCH_ENDS, fields)
  if batch.dropped == batch.next then return true end
  Q.write_batch(id, batch)
  return false
end

local function drop(id, batch)
  local fields = {}
  for chunk = 0, math.floor(batch.next / Q.CHUNK_MEMBERS) do
    fields[#fields + 1] = id .. ' ended ' .. chunk
    fields[#fields + 1] = id .. ' succeeded ' .. chunk
  end
  Q.call_sliced('HDEL', Q.BATCH_BITS, fields)
  if batch.key then redis.call('HDEL', Q.BATCH_KEYS, batch.key) end
  for _, key in ipairs({ Q.BATCHES, Q.BATCH_STATES, Q.FOLLOWERS, Q.ENDS, Q.LAST_ERRORS }) do redis.call('HDEL', key, id) end
  redis.call('ZREM', Q.BATCH_ORDER, id)
end

Q.duties[#Q.duties + 1] = function(sweep)
  if redis.call('EXISTS', Q.BATCHES) == 0 then return end
  for _, field in ipairs(redis.call('ZRANGEBYSCORE', Q.BATCH_DEADLINES, '-inf', Q.NOW, 'LIMIT', 0, Q.BATCHES_AT_ONCE)) do
    local last = #sweep.unconfirmed_members
    sweep.unconfirmed_members[last + 1] = field
    sweep.unconfirmed_members[last + 2] = redis.call('HGET', Q.BATCH_RESERVED, field) or '[]'
    redis.call('ZADD', Q.BATCH_DEADLINES, Q.NOW + Q.RESERVED_AGAIN_MS, field)
  end
  sweep.again_at_first(Q.BATCH_DEADLINES)

  local old = redis.call('ZRANGEBYSCORE', Q.BATCH_ENDED, '-inf', Q.NOW - sweep.retention_ms, 'LIMIT', 0, Q.BATCHES_AT_ONCE)
  for _, id in ipairs(old) do
    local batch = Q.read_batch(id)
    if Q.is_pinned(id) or batch and batch.ended < batch.members then
      redis.call('ZADD', Q.BATCH_ENDED, Q.NOW - sweep.retention_ms + Q.PINNED_AGAIN_MS, id)
    elseif batch and not drop_ends(id, batch) then
      sweep.again_at(Q.NOW)
    else
      if batch then drop(id, batch) end
      redis.call('ZREM', Q.BATCH_ENDED, id)
    end
  end
  if #old == Q.BATCHES_AT_ONCE then sweep.again_at(Q.NOW) end
end
