-- What the load of a queue is judged by, all of it at one moment.
-- ARGV: how many samples, within how many ms a scheduled task is due soon
-- Reply: the time in ms; the counts, in the order of COUNT_FIELDS; samples, the newest first (sweep/series.lua); tasks that are due
--        soon, and ticks, which a worker has to make; places of the worker that was announced last ('' = none has been); what the workers announced, flat: name and CBOR

local samples, soon_ms = args.number(), args.number()
local function due_soon(key, now) return redis.call('ZCOUNT', key, '-inf', string.format('%.0f', now + soon_ms)) end

return {
  Q.NOW_TEXT, redis.call('HMGET', Q.COUNT, unpack(Q.COUNT_FIELDS)), redis.call('LRANGE', Q.SERIES, 0, samples - 1),
  due_soon(Q.LATER, Q.NOW) + due_soon(Q.TICKS, Q.WALL), redis.call('HGET', Q.QUEUE, 'slots') or '',
  redis.call('HGETALL', Q.ANNOUNCED),
}
