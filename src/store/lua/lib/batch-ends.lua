-- How the members of batches end (lib/batches.lua), and the batches with them.

-- The end of a batch is relayed once, and its success once. What follows stands one behind the other: on success, then on every end, then its
-- webhooks. Those from `done` on, up to `till`, are told.
local function tell(id, state, number, done, till)
  local followers = redis.call('HGET', Q.FOLLOWERS, id)
  if not followers then return end
  Q.append_to_outbox({ { id = id, followers = followers, state = state, done = done, till = till, number = number } })
end

local function tell_webhooks(id, batch, state, number)
  if batch.webhooks then tell(id, state, number, (batch.hasSuccess and 1 or 0) + (batch.hasComplete and 1 or 0)) end
end

-- Whether all members of a closed batch have ended now: the event stream says so each time (BatchNews in store/event-entry.ts).
function Q.close_batch(id, batch)
  if not batch.isClosed or batch.pending > 0 or batch.ended < batch.members then return end
  local is_success = batch.succeeded == batch.members
  local state = is_success and 'succeeded' or batch.dead > 0 and 'dead' or 'cancelled'
  Q.emit(0, { 'b', cjson.encode({ id = id, state = state }) })
  if not batch.isComplete then
    batch.isComplete, batch.endedAt = true, Q.NOW
    redis.call('ZADD', Q.BATCH_ENDED, Q.NOW_TEXT, id)
    if not is_success then redis.call('HSET', Q.LAST_ERRORS, id, Q.BATCH_ERROR) end
    local before = batch.hasSuccess and 1 or 0
    if batch.hasComplete then tell(id, state, 'complete', before, before + 1) end
    tell_webhooks(id, batch, state, 'ended-1')
  elseif is_success and not batch.isSuccess then
    tell_webhooks(id, batch, 'succeeded', 'ended-2')
  end
  if is_success and not batch.isSuccess then
    batch.isSuccess, batch.endedAt = true, Q.NOW
    redis.call('ZADD', Q.BATCH_ENDED, Q.NOW_TEXT, id)
    if batch.hasSuccess then tell(id, 'succeeded', 'success', 0, 1) end
  end
end
