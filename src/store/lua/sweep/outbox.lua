-- Entries of the outbox whose followers wait to be accepted: the sweep counts those that are due, and whoever swept relays them.
Q.duties[#Q.duties + 1] = function(sweep)
  sweep.to_relay = redis.call('ZCOUNT', Q.OUTBOX_DUE, '-inf', Q.NOW_TEXT)
  local following = redis.call('ZRANGE', Q.OUTBOX_DUE, 0, 0, 'WITHSCORES')
  if Q.control[6] and redis.call('EXISTS', Q.FOLLOWERS) == 0 then redis.call('HDEL', Q.QUEUE, 'followed') end
  -- Those that are due already are being relayed.
  if following[2] then sweep.again_at(math.max(tonumber(following[2]), Q.NOW + Q.RELAYED_WITHIN_MS)) end
end
