-- How the members of batches end (lib/batches.lua), and the batches with them.

-- The end of a batch is relayed once, and its success once. What follows stands one behind the other: on success, then on every end.
local function tell(id, batch, state, what, at)
  local followers = redis.call('HGET', Q.FOLLOWERS, id)
  if not followers then return end
  local first = string.match(followers, '^%S+')
  local is_first = at == 0
  Q.append_to_outbox({ { id = id, followers = is_first and first or followers, state = state, done = at, number = what } })
end

-- Whether all members of a closed batch have ended now.
function Q.close_batch(id, batch)
  if not batch.isClosed or batch.pending > 0 or batch.ended < batch.members then return end
  local is_success = batch.succeeded == batch.members
  if not batch.isComplete then
    batch.isComplete, batch.endedAt = true, Q.NOW
    redis.call('ZADD', Q.BATCH_ENDED, Q.NOW_TEXT, id)
    if not is_success then redis.call('HSET', Q.LAST_ERRORS, id, Q.BATCH_ERROR) end
    local state = is_success and 'succeeded' or batch.dead > 0 and 'dead' or 'cancelled'
    if batch.hasComplete then tell(id, batch, state, 'complete', batch.hasSuccess and 1 or 0) end
  end
  if is_success and not batch.isSuccess then
    batch.isSuccess, batch.endedAt = true, Q.NOW
    if batch.hasSuccess then tell(id, batch, 'succeeded', 'success', 0) end
  end
end
