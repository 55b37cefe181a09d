-- Opens an operation of this queue, or ends one before its time: what it has done stays done.
-- ARGV: 'open', id, the operation as JSON, how many may be open at most; or 'cancel', id
-- Reply: 'opened', 'known' (this call is a repeat) or 'full'; 'cancelled', 'unknown' or the state it has ended in; and the operation as JSON ('')

local word, id = args.text(), args.text()
local known = Q.read_operation(id)
if word == 'open' then
  if known then return 'known' end
  local op = cjson.decode(args.text())
  if redis.call('ZCARD', Q.OPERATIONS_OPEN) >= args.number() then return 'full' end
  -- What comes later is not touched.
  op.createdAt, op.fence, op.state = Q.NOW, Q.NOW, 'waiting'
  op.cursor, op.total, op.looked, op.matched, op.done = '', 0, 0, 0, 0
  op.skipped, op.failed = {}, {}
  Q.write_operation(op)
  local last = redis.call('ZRANGE', Q.OPERATIONS_OPEN, -1, -1, 'WITHSCORES')
  redis.call('ZADD', Q.OPERATIONS_OPEN, (tonumber(last[2]) or 0) + 1, id)
  Q.emit(0, Q.events)
  return 'opened'
end
if not known then return 'unknown' end
if not redis.call('ZSCORE', Q.OPERATIONS_OPEN, id) then return known.state end
Q.end_operation(known, 'cancelled')
Q.emit(0, Q.events)
return 'cancelled'
