-- Tells a worker what to do from its next beat on, and has it beat at once.
-- ARGV: worker; 'quiet' (it finishes what it holds and claims nothing more), 'stop' (then it ends), or 'work'
-- Reply: 1, or 0 when no such worker is alive

local worker, order = args.text(), args.text()
if not redis.call('ZSCORE', Q.WORKERS, worker) then return 0 end
redis.call('HSET', Q.ORDERS, worker, order)
if order ~= 'work' then Q.withdraw(worker) end
Q.wake(0)
return 1
