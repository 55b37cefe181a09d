-- Offers of workers: how many tasks each may be handed (lib/hands.lua). Each task that is handed has the next number of its worker. A worker
-- that was forgotten begins anew with a number that none had before: a thousand for each millisecond of the clock.

-- The hands of a worker, and how many of them it has not seen yet: `seen` is the number of the last one that it has, nil = it has said so
-- before.
function Q.hands_since(worker, seen)
  local hands = Q.read_hands(worker)
  if hands then
    -- Redis may have lost the last ones: a number never comes twice.
    if seen and seen > hands.from then
      Q.settle_hands(worker, hands, seen)
      hands.is_changed = true
    end
    return hands, hands.last - hands.from
  end
  local first = math.max(Q.NOW * 1000, seen or 0)
  return { last = first, from = first, free = 0, at = '0', grace = 0, looked = 0, unheard = '' }, 0
end

-- A worker with a lease of so many ms may be handed so many tasks more, without those that it has not seen; nil = as it said before.
function Q.offer(worker, hands, free, lease_ms)
  if not free then
    if hands.is_changed then Q.write_hands(worker, hands) end
    return
  end
  local order = free > 0 and redis.call('HGET', Q.ORDERS, worker)
  if free <= 0 or Q.PAUSED or order and order ~= 'work' then
    if hands.free > 0 or hands.is_changed then
      hands.free = 0
      Q.write_hands(worker, hands)
    end
    return
  end
  -- As `handGraceOf` of hand-grace.ts.
  hands.free, hands.grace = free, math.floor(math.min(Q.HAND_GRACE, lease_ms / 2))
  Q.write_hands(worker, hands)
  redis.call('ZADD', Q.IDLE, 'NX', Q.NOW_TEXT, worker)
  -- So that those who accept tasks need not look; they take it back when nobody is idle any more (lib/share-out.lua).
  if not Q.control[9] then redis.call('HSET', Q.QUEUE, 'idle', '1') end
end

function Q.withdraw(worker)
  local hands = Q.read_hands(worker)
  if hands then Q.stop_hands(worker, hands) end
end

-- What it was handed until now is spoken for, and it offers nothing. Returns the number of its last hand, 0 = it has none.
function Q.end_hands(worker)
  local hands = Q.read_hands(worker)
  if not hands then return 0 end
  if hands.free > 0 or hands.from < hands.last then
    Q.settle_hands(worker, hands, hands.last)
    hands.free = 0
    Q.write_hands(worker, hands)
  end
  return hands.last
end

-- Its hands until now are void: what they brought belongs to others, or `held` finds it.
function Q.void_hands(worker)
  local hands = Q.read_hands(worker)
  if not hands then return end
  Q.settle_hands(worker, hands, math.max(hands.last, Q.NOW * 1000))
  hands.free = 0
  Q.write_hands(worker, hands)
end
