-- Pauses a queue, or opens it again and wakes the workers that wait for it.
-- ARGV: 'paused' or 'open', and why ('' = nobody has said it, or as it was said before)
-- Reply: the state before

local state, reason = args.text(), args.text()
if state == 'paused' then
  -- A release before leaves what was said of an earlier pause.
  if redis.call('HSETNX', Q.QUEUE, 'paused', Q.NOW) == 1 then redis.call('HDEL', Q.QUEUE, 'paused_reason') end
  if reason ~= '' then redis.call('HSET', Q.QUEUE, 'paused_reason', reason) end
else
  redis.call('HDEL', Q.QUEUE, 'paused', 'paused_reason')
  if Q.PAUSED then Q.wake(0) end
end
return Q.PAUSED and 'paused' or 'open'
