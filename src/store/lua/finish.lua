-- Records how tasks ended, then claims the next ones for the slots that became free.
-- ARGV: worker, lease in ms, tasks wanted, then for each outcome: id, claim number, word, payload, delay in ms
--   succeeded  payload = result      the end
--   dead       payload = error       the end, by a failure of the handler
--   cancelled  payload = ''          the end
--   retry      payload = error       counts as a failure, due again after the delay
--   postponed  payload = error       counts as nothing, due again after the delay
--   released   payload = ''          counts as nothing, ready again at once
-- Reply: 'claimed' or 'paused', 'accepted' or 'stale' for each outcome, then the tasks as claim.lua answers them

local worker, lease_ms, want = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
renew_lease(worker, lease_ms)

local verdicts, left, done, dead = {}, {}, {}, {}

local function finish_with(word, id, lane, message, claims, failures, payload, delay)
  if word == 'succeeded' then
    move(id, 'running', 'succeeded', { F.result, payload, F.finished, NOW })
    done[#done + 1], done[#done + 2] = NOW, id
  elseif word == 'dead' then
    move(id, 'running', 'dead', { F.error, payload, F.failures, failures + 1, F.finished, NOW })
    dead[#dead + 1], dead[#dead + 2] = NOW, id
  elseif word == 'cancelled' then
    move(id, 'running', 'cancelled', { F.finished, NOW })
    done[#done + 1], done[#done + 2] = NOW, id
  elseif word == 'retry' or word == 'postponed' then
    if word == 'retry' then failures = failures + 1 end
    move(id, 'running', 'scheduled', { F.error, payload, F.failures, failures, F.due, NOW + delay })
    plan(id, NOW + delay)
  else
    move(id, 'running', 'ready', {})
    push('RPUSH', lane, id, message, claims)
  end
end

for at = 4, #ARGV, 5 do
  local id, claim = ARGV[at], ARGV[at + 1]
  local record = redis.call('HMGET', task_key(id), F.state, F.claims, F.worker, F.lane, F.message, F.failures, F.cancel)
  local mine = record[2] == claim and record[3] == worker
  local verdict = 'stale'
  if mine and record[1] == 'running' then
    local word = ARGV[at + 2]
    -- A task that shall be cancelled does not run again.
    if record[7] and word ~= 'succeeded' and word ~= 'dead' then word = 'cancelled' end
    finish_with(word, id, record[4] or 'normal', record[5], claim, tonumber(record[6]) or 0, ARGV[at + 3],
      tonumber(ARGV[at + 4]))
    verdict = 'accepted'
  elseif mine then
    -- The same call again, its first reply was lost.
    verdict = 'accepted'
  end
  -- A task that moved on to this worker under a later claim stays held.
  if mine or record[3] ~= worker then left[#left + 1] = id end
  verdicts[#verdicts + 1] = verdict
end

call_sliced('SREM', running_key(worker), left)
call_sliced('ZADD', DONE, done)
call_sliced('ZADD', DEAD, dead)

if want > 0 and not PAUSED then
  take_more(worker, want)
  hold(worker)
end
commit()
return { PAUSED and 'paused' or 'claimed', verdicts, taken }
