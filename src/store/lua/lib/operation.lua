-- Operations of a queue (store/operations.ts has their fields). OPERATIONS has each as JSON, OPERATIONS_OPEN those that are not over,
-- in the order in which they were asked for: the first of them is worked on. OPERATIONS_ENDED has the others by when they ended,
-- WATCHED what the one that is worked on has retried and watches, by when that was last looked at.

-- Operations that are remembered once they are over.
Q.ENDED_OPERATIONS_KEPT = 100

-- An operation as a table; nil when there is none, or another program has spoilt it.
function Q.read_operation(id)
  local text = redis.call('HGET', Q.OPERATIONS, id)
  local is_read, op = pcall(cjson.decode, text or '')
  return is_read and type(op) == 'table' and type(op.filter) == 'table' and op or nil
end

-- How often its numbers are told at most, in ms: a slice takes less than that. A new state is told at once.
Q.TELL_NUMBERS_EVERY_MS = 250

-- Its numbers as the event stream tells them (OperationNews in store/event-entry.ts), with what else happens in this call.
local function tell_operation(op)
  if op.toldState == op.state and Q.NOW - (op.toldAt or 0) < Q.TELL_NUMBERS_EVERY_MS then return end
  op.toldState, op.toldAt = op.state, Q.NOW
  local news = { id = op.id, state = op.state, total = op.total, looked = op.looked, matched = op.matched, done = op.done }
  local last = #Q.events
  Q.events[last + 1], Q.events[last + 2] = 'o', cjson.encode(news)
end

function Q.write_operation(op)
  tell_operation(op)
  redis.call('HSET', Q.OPERATIONS, op.id, cjson.encode(op))
end

-- It is over. The next one, if any, is worked on as soon as a server sees it.
function Q.end_operation(op, state)
  local is_first = redis.call('ZRANGE', Q.OPERATIONS_OPEN, 0, 0)[1] == op.id
  op.state, op.endedAt = state, Q.NOW
  Q.write_operation(op)
  redis.call('ZREM', Q.OPERATIONS_OPEN, op.id)
  redis.call('ZADD', Q.OPERATIONS_ENDED, Q.NOW_TEXT, op.id)
  if is_first then
    redis.call('DEL', Q.WATCHED)
    redis.call('HDEL', Q.QUEUE, 'operated_by', 'operated_at')
  end
  local old = redis.call('ZRANGE', Q.OPERATIONS_ENDED, 0, -Q.ENDED_OPERATIONS_KEPT - 1)
  Q.call_sliced('HDEL', Q.OPERATIONS, old)
  Q.call_sliced('ZREM', Q.OPERATIONS_ENDED, old)
end
