-- What workers were handed (lib/hand-over.lua), and may still be. HANDS has of each worker that was ever idle: the number of its last hand,
-- the number up to which it has said that it has its hands (or up to which they are void, or went back), how many more tasks it may get,
-- when it got the last hand ('0' = never), how many ms it has to say that it has one, when a sweep has found that it had not ('0' = none
-- has), and for each hand behind that number: when it was sent, the id of its task, and its claim number.
-- IDLE has the workers that may get some, the one that has waited longest first; UNHEARD those that have not said yet that they have their
-- hands, by a time that is not after the one until which they have to.

function Q.read_hands(worker)
  local text = redis.call('HGET', Q.HANDS, worker)
  if not text then return nil end
  local last, from, free, at, grace, looked, unheard = string.match(text, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+)(.*)$')
  return {
    last = tonumber(last), from = tonumber(from), free = tonumber(free), at = at, grace = tonumber(grace), looked = tonumber(looked),
    unheard = unheard,
  }
end

function Q.write_hands(worker, hands)
  local words = string.format('%.0f %.0f %d %s %d %.0f', hands.last, hands.from, hands.free, hands.at, hands.grace, hands.looked)
  redis.call('HSET', Q.HANDS, worker, words .. hands.unheard)
  if hands.free == 0 then redis.call('ZREM', Q.IDLE, worker) end
end

-- When the first hand was sent that the worker has not said it has; nil = there is none.
function Q.unheard_since(hands) return tonumber(string.match(hands.unheard, '^ (%d+)')) end

-- The hands up to this number are spoken for. The caller writes the others.
function Q.settle_hands(worker, hands, number)
  local settled = number - hands.from
  if settled <= 0 then return end
  hands.last, hands.from, hands.looked = math.max(hands.last, number), number, 0
  if hands.unheard == '' then return end
  hands.unheard = hands.last == number and '' or string.gsub(hands.unheard, ' %d+ %S+ %d+', '', settled)
  if hands.unheard == '' then redis.call('ZREM', Q.UNHEARD, worker) end
end

-- Nothing is handed to a worker until it offers places again.
function Q.stop_hands(worker, hands)
  if hands.free == 0 then return end
  hands.free = 0
  Q.write_hands(worker, hands)
end
