-- Ignores a group of errors (lib/ignored.lua), or heeds it again.
-- ARGV: fingerprint, 'ignore' or 'heed', the time of day at which that is over, how many more deaths end it ('' = that does not)
-- Reply: 1; 0 = there is no such group

local fingerprint, word, till, more = args.text(), args.text(), args.text(), args.number()
local group = redis.call('HGET', Q.ERROR_GROUPS, fingerprint)
if not group then return 0 end
if word == 'heed' then
  redis.call('HDEL', Q.ERROR_GROUPS_IGNORED, fingerprint)
  return 1
end
local total = tonumber(string.match(group, '^%d+ (%d+) ')) or 0
local most = more and string.format('%.0f', total + more) or '-'
redis.call('HSET', Q.ERROR_GROUPS_IGNORED, fingerprint, (till == '' and '-' or till) .. ' ' .. most)
return 1
