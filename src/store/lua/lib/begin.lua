-- What every script that changes something begins with: it is refused, or the queue has its number and its clock is kept.
-- The reply of a refused call begins with UPGRADE (protocol-number.ts). It has changed nothing, not even the clock.
if Q.REFUSAL then return redis.error_reply('UPGRADE ' .. Q.REFUSAL) end
if Q.KEPT_BY ~= Q.PROTOCOL then redis.call('HSET', Q.QUEUE, 'protocol', Q.PROTOCOL) end
if not Q.KEPT_BY then
  -- The releases before the number read their clock there first, as a hash: a text stops them before they change anything.
  redis.call('SET', Q.CONTROL, 'popfleet keeps this queue by protocol ' .. Q.PROTOCOL
    .. '. This text keeps releases out that know no protocol numbers: leave it here.')
end
if Q.WALL < (Q.SEEN or Q.WALL) - Q.SET_BACK_MS then redis.call('HSET', Q.QUEUE, 'set_back', Q.WALL) end
-- Redis writes numbers slowly. Nearly always there is a text of them.
if Q.WALL ~= Q.SEEN and Q.SKEW == 0 then
  redis.call('HSET', Q.QUEUE, 'wall', Q.NOW_TEXT, 'skew', '0')
elseif Q.WALL ~= Q.SEEN then
  redis.call('HSET', Q.QUEUE, 'wall', Q.WALL, 'skew', Q.SKEW)
end
