-- A part of a sorted set, behind a place in it that need not exist any more. It changes nothing.
-- ARGV: 'dead' or 'later', 'up' or 'down', how many, score and member of the place ('' = from the start)
-- Reply: members and scores, flat

local key = args.text() == 'dead' and Q.DEAD or Q.LATER
local order, count = args.text(), args.number()
local score, member = args.text(), args.text()
local command = order == 'up' and 'ZRANGE' or 'ZREVRANGE'
if score == '' then return redis.call(command, key, 0, count - 1, 'WITHSCORES') end

local low = Q.rank_of(key, score, member)
local from = low
if order == 'up' then
  if redis.call('ZRANGE', key, low, low)[1] == member then from = low + 1 end
else
  from = redis.call('ZCARD', key) - low
end
return redis.call(command, key, from, from + count - 1, 'WITHSCORES')
