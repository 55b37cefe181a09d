-- When a task that is accepted, or whose needs are met, may begin, and by when it has to.

-- A time that was given relative to now, or as a time of day; the scripts' clock may be ahead of the host's.
function Q.instant(relative, absolute)
  if relative then return Q.NOW + relative end
  if absolute then return absolute + (Q.NOW - Q.WALL) end
  return nil
end

-- `extras` as producer.ts names them. Returns the state that the task is in now: 'scheduled', which is planned, or 'ready'.
function Q.plan_start(id, extras)
  local expires = Q.instant(extras.ttlMs, extras.expiresAt)
  if expires then
    Q.put(Q.EXPIRES, id, expires)
    redis.call('ZADD', Q.UNSTARTED, expires, id)
    Q.wake_at(expires)
  end
  local due = Q.instant(extras.delayMs, extras.runAt)
  if not due or due <= Q.NOW then return 'ready' end
  Q.plan(id, due)
  return 'scheduled'
end
