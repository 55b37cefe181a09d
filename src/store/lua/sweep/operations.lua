-- Whether there is an operation on which no server works now. Only servers do, and where workers sweep first it is never a server's
-- turn: so this is asked for in each call, also in one that comes too early to sweep.
function Q.is_operation_left()
  if redis.call('EXISTS', Q.OPERATIONS_OPEN) == 0 then return false end
  local at = tonumber(redis.call('HGET', Q.QUEUE, 'operated_at'))
  return not at or Q.NOW - at >= Q.OPERATED_WITHIN_MS
end
