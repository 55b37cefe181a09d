-- A worker says goodbye. When it still holds tasks its lease stays, so that the sweep gives them back.
-- ARGV: worker
-- Reply: how many tasks it still holds

local held = redis.call('SCARD', Q.running_key(ARGV[1]))
if held == 0 then
  redis.call('ZREM', Q.WORKERS, ARGV[1])
  redis.call('HDEL', Q.ANNOUNCED, ARGV[1])
end
return held
