-- Marks of tasks that a relay has accepted. A mark keeps a relay that comes late from accepting its task again after its row is gone.
-- It has to outlive the entry that the task follows, which may stand in another queue: the sweep names old marks, and whoever swept
-- asks there. Each relay renews the mark, and gives up long before it is old.

-- A relay sends what it has read for a few seconds at most (RELAY_WITHIN_MS in relay-time.ts).
Q.MARK_MS = 600000

Q.duties[#Q.duties + 1] = function(sweep)
  sweep.marks = redis.call('ZRANGEBYSCORE', Q.MARKS, '-inf', Q.NOW - Q.MARK_MS, 'LIMIT', 0, sweep.slice)
  local following = redis.call('ZRANGE', Q.MARKS, 0, 0, 'WITHSCORES')
  if following[2] then sweep.again_at(math.max(tonumber(following[2]) + Q.MARK_MS, Q.NOW + 1000)) end
end
