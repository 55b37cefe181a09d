-- A worker gives up its lease. When it still holds tasks its lease stays, so that the sweep gives them back.
-- ARGV: worker
-- Reply: how many tasks it still holds

local worker = args.text()
local held = redis.call('SCARD', Q.running_key(worker))
if held == 0 then
  redis.call('ZREM', Q.WORKERS, worker)
  redis.call('HDEL', Q.ANNOUNCED, worker)
end
return held
