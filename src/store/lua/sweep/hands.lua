-- Tasks that were handed to workers which have not said in time that they have them go back, unbegun: a worker says so before it begins
-- them, and stops what it has begun when nobody has answered by then (docs/decisions/0037).

-- Between two looks at a worker, in ms. What it had sent while Redis stood still is read between them, whoever was read first.
Q.LOOK_AGAIN_MS = 100

-- The tasks that were sent until then: ids, and what is known of each.
local function overdue(hands, sent_until)
  local ids, claims_of = {}, {}
  for at, id, claims in string.gmatch(hands.unheard, ' (%d+) (%S+) (%d+)') do
    if tonumber(at) > sent_until then break end
    ids[#ids + 1], claims_of[id] = id, tonumber(claims)
  end
  return ids, claims_of
end

local function give_back(worker, hands, sweep)
  local ids, claims_of = overdue(hands, hands.looked - hands.grace)
  local cancels = Q.load_lost(ids)
  for _, id in ipairs(ids) do
    local task = Q.read_task(id)
    if task and task.state == 'running' and task.worker == worker and task.claims == claims_of[id] then
      Q.let_go(worker, { id })
      if Q.after_lost_lease(id, task, cancels[id], false) == 'ready' then sweep.counts.returned = sweep.counts.returned + 1 end
    end
  end
  hands.looked = 0
  Q.settle_hands(worker, hands, hands.from + #ids)
end

-- Looks at the hands of a worker. Returns when the next look is due, nil = it has said that it has all of them.
local function look(worker, hands, sweep)
  local since = Q.unheard_since(hands)
  if not since or since + hands.grace > Q.NOW then return since and since + hands.grace end
  -- It is handed nothing until it is heard of.
  hands.free = 0
  if hands.looked > 0 then
    give_back(worker, hands, sweep)
    since = Q.unheard_since(hands)
  else
    hands.looked = Q.NOW
  end
  Q.write_hands(worker, hands)
  if hands.looked > 0 then return Q.NOW + Q.LOOK_AGAIN_MS end
  return since and since + hands.grace
end

Q.duties[#Q.duties + 1] = function(sweep)
  for _, worker in ipairs(redis.call('ZRANGEBYSCORE', Q.UNHEARD, '-inf', Q.NOW, 'LIMIT', 0, sweep.slice)) do
    local hands = Q.read_hands(worker)
    local look_at = hands and look(worker, hands, sweep)
    if look_at then
      redis.call('ZADD', Q.UNHEARD, look_at, worker)
    else
      redis.call('ZREM', Q.UNHEARD, worker)
    end
  end
  sweep.again_at_first(Q.UNHEARD)
end
