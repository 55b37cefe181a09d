-- A task together with the newest entry of the event stream, at one moment. It stands alone, without the shared library, because it
-- changes nothing. (Not MULTI: a user of Redis needs no right to transactions then.)
-- ARGV: id
-- Reply: id and number of that entry ('0-0' and '0' before the first one), then one value a column in the order of COLUMN_ORDER

local id = args.text()
local newest = redis.call('XREVRANGE', Q.EVENTS, '+', '-', 'COUNT', 1)[1]
local reply = newest and { newest[1], newest[2][2] } or { '0-0', '0' }
for at, column in ipairs(Q.READ) do reply[at + 2] = redis.call('HGET', column, id) end
return reply
