-- Pauses a queue, or opens it again and tells the workers that wait for it.
-- ARGV: 'paused' or 'open'
-- Reply: the state before

if ARGV[1] == 'paused' then
  redis.call('HSETNX', CONTROL, 'paused', NOW)
else
  redis.call('HDEL', CONTROL, 'paused')
  if PAUSED then redis.call('PUBLISH', BASE .. ':wake', 0) end
end
return PAUSED and 'paused' or 'open'
