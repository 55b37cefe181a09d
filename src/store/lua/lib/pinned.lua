-- Whether entries of this task are left in the outbox (lib/outbox.lua).
function Q.is_pinned(id)
  if Q.has_pins == nil then Q.has_pins = redis.call('EXISTS', Q.PINS) == 1 end
  return Q.has_pins and redis.call('HEXISTS', Q.PINS, id) == 1
end
