-- A worker gives up its lease. When it still holds tasks its lease stays, so that the sweep gives them back.
-- ARGV: worker
-- Reply: how many tasks it still holds

local worker = args.text()
local held = tonumber(redis.call('HGET', Q.HOLDS, worker)) or 0
if held == 0 then Q.forget_worker(worker) end
return held
