-- How many tasks are dead now of kinds of failures that are ignored (lib/ignored.lua).
-- Reply: their number

local dead = 0
local entries = redis.call('HGETALL', Q.ERROR_GROUPS_IGNORED)
for at = 1, #entries, 2 do
  if Q.ignored(entries[at]) then
    local term = 'fingerprint=' .. entries[at]
    dead = dead + redis.call('ZLEXCOUNT', Q.SEARCH, '[' .. term .. ' ', '(' .. term .. '!')
  end
end
return dead
