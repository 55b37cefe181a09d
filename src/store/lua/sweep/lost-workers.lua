-- Workers whose lease has run out are forgotten, and their tasks given back.

-- Leases up to this time have run out. The lease clock stands still while Redis does: after a gap in the sweeps no worker could
-- renew its lease either, so for one lease none runs out. But the gap may also mean that no worker was alive. So a lease that an
-- earlier gap has spared, and that was not renewed although the sweeps went on after it, is not spared again: else the tasks of a
-- fleet that dies again and again would wait for ever. A lease renewed after `gap_at` ends no earlier than one lease later.
local function leases_run_out_until(sweep)
  local seen = redis.call('HMGET', Q.CONTROL, 'swept_at', 'leases_hold_until', 'gap_at', 'leases_lost_before')
  local swept_at, hold_until = tonumber(seen[1]), tonumber(seen[2]) or 0
  local gap_at, lost_before = tonumber(seen[3]), tonumber(seen[4]) or 0
  if swept_at and Q.NOW - swept_at > sweep.lease_ms / 2 then
    hold_until = Q.NOW + sweep.lease_ms
    if not gap_at or swept_at - gap_at >= sweep.period_ms then
      lost_before = gap_at and gap_at + sweep.lease_ms or 0
      gap_at = Q.NOW
    end
    redis.call('HSET', Q.CONTROL, 'leases_hold_until', hold_until, 'gap_at', gap_at, 'leases_lost_before', lost_before)
  end
  if Q.NOW >= hold_until then return Q.NOW end
  sweep.again_at(hold_until)
  return math.min(Q.NOW, lost_before - 1)
end

local function give_back(sweep, id, worker, is_cancelled)
  local task = Q.read_task(id)
  if not task or task.state ~= 'running' or task.worker ~= worker then return end
  local state = Q.after_lost_lease(id, task, is_cancelled)
  if state == 'ready' then sweep.counts.returned = sweep.counts.returned + 1 end
  if state == 'dead' then sweep.counts.poisoned = sweep.counts.poisoned + 1 end
end

Q.duties[#Q.duties + 1] = function(sweep)
  local budget = sweep.slice
  local until_time = leases_run_out_until(sweep)
  local lost = redis.call('ZRANGEBYSCORE', Q.WORKERS, '-inf', until_time, 'LIMIT', 0, sweep.slice)
  for _, worker in ipairs(lost) do
    if budget == 0 then break end
    local ids = redis.call('SPOP', Q.running_key(worker), budget)
    budget = budget - #ids
    local cancels = {}
    Q.load_tasks(ids)
    Q.load(Q.CANCELS, cancels, ids)
    for _, id in ipairs(ids) do give_back(sweep, id, worker, cancels[id]) end
    if redis.call('EXISTS', Q.running_key(worker)) == 0 then
      redis.call('ZREM', Q.WORKERS, worker)
      redis.call('HDEL', Q.ANNOUNCED, worker)
    end
  end
  local following = redis.call('ZRANGE', Q.WORKERS, 0, 0, 'WITHSCORES')
  -- One that is spared is looked at again when that is over.
  local ends_at = tonumber(following[2])
  if ends_at and (ends_at <= until_time or ends_at > Q.NOW) then sweep.again_at(ends_at) end
end
