-- Drops entries of the outbox, by name. Returns the names of those that were there: each entry is dropped once, whoever drops it.
function Q.drop_entries(names)
  local dropped, unpinned = {}, {}
  if #names == 0 then return dropped end
  local words = redis.call('HMGET', Q.OUTBOX, unpack(names))
  for at, entry in ipairs(names) do
    if words[at] then dropped[#dropped + 1] = entry end
  end
  if #dropped == 0 then return dropped end
  redis.call('HDEL', Q.OUTBOX, unpack(dropped))
  redis.call('ZREM', Q.OUTBOX_DUE, unpack(dropped))
  redis.call('ZREM', Q.OUTBOX_AGES, unpack(dropped))
  local ids = {}
  for at, entry in ipairs(dropped) do ids[at] = string.sub(entry, 1, 36) end
  local pins = redis.call('HMGET', Q.PINS, unpack(ids))
  for at, id in ipairs(ids) do
    -- Nearly every task has one entry. Of one that has more, several may be dropped here.
    if pins[at] == '1' or not string.find(pins[at] or '', '^%d+$') or redis.call('HINCRBY', Q.PINS, id, -1) <= 0 then unpinned[#unpinned + 1] = id end
  end
  if #unpinned > 0 then redis.call('HDEL', Q.PINS, unpack(unpinned)) end
  return dropped
end
