-- What shows that a queue is whole, all of it at one moment.
-- ARGV: of how many popped messages the ids are told at most
-- Reply: the time in ms; the counts, in the order of COUNT_FIELDS; of each lane, in the order of LANES, its messages and their copies; when
--        the last sweep was, and when the next is planned (false = none has been); how many messages were popped and not claimed when the
--        last sweep looked, and some of them, flat: ledger entry and since when that is known

local most = args.number()
local lanes, suspects = {}, redis.call('HGETALL', Q.SUSPECTS)
for at, lane in ipairs(Q.LANES) do lanes[at] = { redis.call('LLEN', Q.READY[lane]), redis.call('LLEN', Q.LEDGER[lane]) } end
local told = {}
for at = 1, math.min(#suspects, 2 * most) do told[at] = suspects[at] end
return {
  Q.NOW_TEXT, redis.call('HMGET', Q.COUNT, unpack(Q.COUNT_FIELDS)), lanes, redis.call('HMGET', Q.QUEUE, 'swept_at', 'sweep_at'),
  #suspects / 2, told,
}
