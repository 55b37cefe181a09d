-- A task together with the newest entry of the event stream, at one moment. It stands alone, without the shared library, because it
-- changes nothing. (Not MULTI: a user of Redis needs no right to transactions then.)
-- ARGV: id
-- Reply: id and number of that entry ('0-0' and '0' before the first one), then one value a column in the order of COLUMN_NAMES

local id = args.text()
local newest = redis.call('XREVRANGE', KEYS[1] .. ':events', '+', '-', 'COUNT', 1)[1]
local reply = newest and { newest[1], newest[2][2] } or { '0-0', '0' }
for at, name in ipairs(COLUMN_NAMES) do reply[at + 2] = redis.call('HGET', KEYS[1] .. ':' .. name, id) end
return reply
