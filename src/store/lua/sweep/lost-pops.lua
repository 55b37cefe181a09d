-- Messages that were popped and never claimed are pushed again.

-- Whatever stands in the ledger behind the tail of `ready` was popped. What of it is still ready at the claim number
-- it was pushed with was never claimed: the reply of the pop, or the worker, got lost. After the grace it is pushed again.
local function check_ledger(sweep, lane, suspects)
  local tail = redis.call('LINDEX', Q.READY[lane], -1)
  local tail_id = tail and Q.id_of(tail)
  local entries = redis.call('LRANGE', Q.LEDGER[lane], -sweep.slice, -1)
  local behind = {}
  for at = #entries, 1, -1 do
    local id = string.sub(entries[at], 1, 36)
    if id == tail_id then break end
    behind[#behind + 1] = { entry = entries[at], id = id, claims = tonumber(string.sub(entries[at], 38)) or 0 }
  end
  if #behind == 0 then return end
  local ids, waiting, lost = {}, {}, {}
  for at, one in ipairs(behind) do ids[at] = one.id end
  Q.load_tasks(ids)
  for _, one in ipairs(behind) do
    local task = Q.read_task(one.id)
    if task and task.state == 'ready' and task.claims == one.claims then
      local seen_at = tonumber(redis.call('HGET', Q.SUSPECTS, one.entry)) or Q.NOW
      if Q.NOW - seen_at >= sweep.grace_ms and not Q.end_without_content(one.id, task) then
        lost[#lost + 1] = one
      else
        waiting[#waiting + 1] = one.entry
        suspects[#suspects + 1], suspects[#suspects + 2] = one.entry, seen_at
        sweep.again_at(seen_at + sweep.grace_ms)
      end
    end
  end
  if #behind == #entries and #behind == sweep.slice and #waiting < sweep.slice then sweep.again_at(Q.NOW) end
  redis.call('RPOP', Q.LEDGER[lane], #behind)
  -- Oldest last, so that it stands at the tail; entries that wait have no message in `ready` and go behind those that have.
  for at = #lost, 1, -1 do Q.push('RPUSH', lane, lost[at].id, lost[at].claims) end
  for at = #waiting, 1, -1 do redis.call('RPUSH', Q.LEDGER[lane], waiting[at]) end
  sweep.counts.repaired = sweep.counts.repaired + #lost
end

Q.duties[#Q.duties + 1] = function(sweep)
  local suspects = {}
  for _, lane in ipairs(Q.LANES) do check_ledger(sweep, lane, suspects) end
  redis.call('DEL', Q.SUSPECTS)
  Q.call_sliced('HSET', Q.SUSPECTS, suspects)
end
