-- Records how tasks ended, then claims the next ones for the slots that became free.
-- ARGV: worker, lease in ms, tasks wanted, the lane to take from first,
--       then for each outcome: id, claim number, word, payload, delay in ms, time to live in ms ('' = the fleet's)
--   succeeded  payload = result            the end
--   dead       payload = error             the end, by a failure of the handler
--   cancelled  payload = error             the end
--   retry      payload = error             counts as a failure, due again after the delay
--   postponed  payload = error             counts as nothing, due again after the delay
--   released   payload = ''                counts as nothing, ready again at once
--   crashed    payload = error             its process was lost; see crash.lua
-- Reply: 'claimed' or 'paused', 'accepted' or 'stale' for each outcome, then the tasks as claim.lua answers them

local worker, lease_ms, want = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
renew_lease(worker, lease_ms)

local verdicts, left = {}, {}

local record_outcome = {
  succeeded = function(o)
    end_task(o.id, 'running', 'succeeded', { F.result, o.payload }, #o.message + #o.payload, o.ttl)
  end,
  dead = function(o)
    remember_error(o.id, o.started, o.claim, worker, o.payload)
    end_task(o.id, 'running', 'dead', { F.error, o.payload, F.failures, o.failures + 1 }, #o.message + #o.payload, o.ttl)
  end,
  cancelled = function(o)
    -- A task that was given back, and shall be cancelled, brings no error.
    local payload = o.payload ~= '' and o.payload or CANCELLED_ERROR
    end_task(o.id, 'running', 'cancelled', { F.error, payload }, #o.message + #payload, o.ttl)
  end,
  retry = function(o)
    remember_error(o.id, o.started, o.claim, worker, o.payload)
    local due = NOW + o.delay
    move(o.id, 'running', 'scheduled', { F.error, o.payload, F.failures, o.failures + 1, F.due, due })
    plan(o.id, due)
  end,
  postponed = function(o)
    move(o.id, 'running', 'scheduled', { F.error, o.payload, F.due, NOW + o.delay })
    plan(o.id, NOW + o.delay)
  end,
  released = function(o)
    move(o.id, 'running', 'ready', {})
    push('RPUSH', o.lane, o.id, o.message, o.claim)
  end,
  crashed = function(o)
    after_crash(o.id, { o.lane, o.message, o.claim, o.crashes, o.cancel, o.started, worker }, o.payload)
  end,
}
local RUNS_AGAIN = { retry = true, postponed = true, released = true }

for at = 5, #ARGV, 6 do
  local id, claim, word = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local record = redis.call('HMGET', task_key(id), F.state, F.claims, F.worker, F.lane, F.message, F.failures, F.crashes,
    F.cancel, F.started)
  local mine = record[2] == claim and record[3] == worker
  local verdict = mine and 'accepted' or 'stale'
  -- Mine but not running: the same call again, its first reply was lost.
  if mine and record[1] == 'running' then
    -- A task that shall be cancelled does not run again.
    if record[8] and RUNS_AGAIN[word] then word = 'cancelled' end
    record_outcome[word]({
      id = id, claim = claim, payload = ARGV[at + 3], delay = tonumber(ARGV[at + 4]), ttl = tonumber(ARGV[at + 5]),
      lane = record[4] or 'normal', message = record[5], failures = tonumber(record[6]) or 0, crashes = record[7],
      cancel = record[8], started = record[9],
    })
  end
  -- A task that moved on to this worker under a later claim stays held.
  if mine or record[3] ~= worker then left[#left + 1] = id end
  verdicts[#verdicts + 1] = verdict
end
call_sliced('SREM', running_key(worker), left)

if want > 0 and not PAUSED then
  take_more(worker, want, ARGV[4])
  hold(worker)
end
commit()
return { PAUSED and 'paused' or 'claimed', verdicts, taken }
