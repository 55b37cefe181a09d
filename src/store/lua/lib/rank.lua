-- Places in sorted sets that need not exist any more.

-- How many members stand before a score and a member. Members of equal score are in the order of their bytes, so the first that is not
-- before the place is found by halving.
function Q.rank_of(key, score, member)
  local low = redis.call('ZCOUNT', key, '-inf', '(' .. score)
  local high = low + redis.call('ZCOUNT', key, score, score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if redis.call('ZRANGE', key, middle, middle)[1] < member then low = middle + 1 else high = middle end
  end
  return low
end
