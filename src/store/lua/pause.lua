-- Pauses a queue, or opens it again and wakes the workers that wait for it.
-- ARGV: 'paused' or 'open'
-- Reply: the state before

if args.text() == 'paused' then
  redis.call('HSETNX', Q.CONTROL, 'paused', Q.NOW)
else
  redis.call('HDEL', Q.CONTROL, 'paused')
  if Q.PAUSED then redis.call('PUBLISH', Q.BASE .. ':wake', 0) end
end
return Q.PAUSED and 'paused' or 'open'
