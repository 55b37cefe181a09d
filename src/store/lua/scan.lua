-- Walks all tasks of a queue. It stands alone, without the shared library, because it changes nothing. Ids only: the contents, which
-- the walk brings along, may be large.
-- ARGV: cursor ('0' begins), about how many
-- Reply: the next cursor ('0' = that was all), ids

local found = redis.call('HSCAN', KEYS[1] .. ':' .. CONTENT, ARGV[1], 'COUNT', ARGV[2])
local ids = {}
for at = 1, #found[2], 2 do ids[#ids + 1] = found[2][at] end
return { found[1], ids }
