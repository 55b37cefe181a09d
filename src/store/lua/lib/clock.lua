-- The queue, its clock, and the wake channel. It reads only: what is kept of the clock, begin.lua writes.
-- Everything that parts share is a field of `Q`, which scripts.ts opens with the tables that TypeScript owns: a call makes all
-- functions anew, and each variable that a function takes from around it makes that slower (docs/decisions/0012).
-- The clock of the host has to be set back by this much before plans by the time of day are checked.
Q.SET_BACK_MS = 1000

-- NOW is in milliseconds and never goes backwards. When the host's clock is set back, the difference is kept as a skew. It is paid
-- back by one millisecond in ten, so leases and delays are longer by a ninth at most, and never shorter (docs/decisions/0015).
-- WALL is the time of day, SEEN the one that was kept last.
Q.control = redis.call('HMGET', Q.QUEUE, 'wall', 'skew', 'paused', 'sweep_at', 'protocol', 'followed', 'searched', 'needed', 'idle')
do
  local time = redis.call('TIME')
  local wall = time[1] * 1000 + math.floor(time[2] / 1000)
  Q.SEEN = tonumber(Q.control[1])
  local seen = Q.SEEN or wall
  local skew = tonumber(Q.control[2]) or 0
  if wall < seen then
    skew = skew + seen - wall
  elseif skew > 0 then
    -- Counted by full hundredths of a second that have passed: calls that follow each other within one pay nothing twice.
    skew = math.max(0, skew - math.floor(wall / 10) + math.floor(seen / 10))
  end
  Q.NOW, Q.WALL, Q.SKEW = wall + skew, wall, skew
end
-- Lua writes a number anew each time it joins a text, and slowly.
Q.NOW_TEXT = string.format('%.0f', Q.NOW)
Q.PAUSED = Q.control[3] and true or false

-- Sends a message over a channel of the queue: a channel is no key.
function Q.publish(channel, message) redis.call('PUBLISH', string.gsub(Q.QUEUE, 'queue$', channel), message) end

-- How many connections to this server listen to a channel of the queue.
function Q.listeners(channel) return redis.call('PUBSUB', 'NUMSUB', (string.gsub(Q.QUEUE, 'queue$', channel)))[2] end

-- Tells those who sweep, and workers, that something is due in so many ms; 0 = at once.
function Q.wake(ms) Q.publish('wake', math.max(0, ms)) end

-- Wakes sleeping sweepers: something is due earlier than they know.
function Q.wake_at(due)
  local planned = tonumber(Q.control[4]) or 0
  if due < planned then
    Q.control[4] = due
    redis.call('HSET', Q.QUEUE, 'sweep_at', due)
    Q.wake(due - Q.NOW)
  end
end
