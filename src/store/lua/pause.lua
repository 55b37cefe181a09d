-- Pauses a queue, or opens it again and wakes the workers that wait for it.
-- ARGV: 'paused' or 'open'
-- Reply: the state before

if args.text() == 'paused' then
  redis.call('HSETNX', Q.QUEUE, 'paused', Q.NOW)
else
  redis.call('HDEL', Q.QUEUE, 'paused')
  if Q.PAUSED then Q.wake(0) end
end
return Q.PAUSED and 'paused' or 'open'
