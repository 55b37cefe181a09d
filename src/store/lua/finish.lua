-- Records how tasks ended, then claims the next ones for the slots that became free.
-- ARGV: worker, lease in ms, tasks wanted, how many of them to look for in the lanes low and normal first;
--       how many have succeeded, and how many bytes all of them keep; the id of each;
--       how many groups these make, in their order, and for each: token, bytes that each of it keeps, how many they are;
--       how many of them have a result; id and result of each that has;
--       then for each other outcome: id, token, word, payload, delay in ms, time to live in ms ('' = the fleet's)
--   succeeded  payload = result            the end, with a time to live of its own
--   dead       payload = error             the end, by a failure of the handler
--   cancelled  payload = error             the end
--   failed     payload = error             counts as a failure, due again after the delay
--   snoozed    payload = error             counts as nothing, due again after the delay
--   released   payload = ''                counts as nothing, ready again at once
--   crashed    payload = error             its process was lost; see crash.lua
-- A token is the header that the claim gave the task: it names worker and claim number, and nobody else has the same.
-- Reply: 'claimed' or 'paused', the positions (from 1) of outcomes that are stale, then the tasks as claim.lua answers them

local worker, lease_ms, want = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
Q.renew_lease(worker, lease_ms)

local successes = tonumber(ARGV[6])
local IDS_FROM, IDS_TO = 8, 7 + successes
local GROUPS_FROM = IDS_TO + 2
local RESULTS_FROM = GROUPS_FROM + 3 * tonumber(ARGV[GROUPS_FROM - 1]) + 1
local OTHERS_FROM = RESULTS_FROM + 2 * tonumber(ARGV[RESULTS_FROM - 1])

local stale, left = {}, {}
-- When tasks were asked to be cancelled, as far as it was loaded.
local cancels = {}

local record_outcome = {
  succeeded = function(o)
    Q.end_task(o.id, o.task, 'succeeded', Q.RESULTS, o.payload, #Q.contents[o.id], o.ttl)
  end,
  dead = function(o)
    Q.remember_error(o.id, o.task, o.payload)
    o.task.failures = o.task.failures + 1
    Q.end_task(o.id, o.task, 'dead', Q.LAST_ERRORS, o.payload, #Q.contents[o.id], o.ttl)
  end,
  cancelled = function(o)
    -- A task that was given back, and shall be cancelled, brings no error.
    local payload = o.payload ~= '' and o.payload or Q.CANCELLED_ERROR
    Q.end_task(o.id, o.task, 'cancelled', Q.LAST_ERRORS, payload, #Q.contents[o.id], o.ttl)
  end,
  failed = function(o)
    Q.remember_error(o.id, o.task, o.payload)
    Q.put(Q.LAST_ERRORS, o.id, o.payload)
    o.task.failures = o.task.failures + 1
    Q.move_task(o.id, o.task, 'scheduled')
    Q.plan(o.id, Q.NOW + o.delay)
  end,
  snoozed = function(o)
    Q.put(Q.LAST_ERRORS, o.id, o.payload)
    Q.move_task(o.id, o.task, 'scheduled')
    Q.plan(o.id, Q.NOW + o.delay)
  end,
  released = function(o)
    Q.move_task(o.id, o.task, 'ready')
    Q.push('RPUSH', o.task.lane, o.id, o.task.claims)
  end,
  crashed = function(o) Q.after_crash(o.id, o.task, o.cancelled, o.payload, o.ttl) end,
}
local RUNS_AGAIN = { failed = true, snoozed = true, released = true }

-- Records one outcome, unless the task is not running any more as the token says: then the call is a repeat, because its first
-- reply was lost, or it comes too late.
local function record(position, word, o, token)
  if Q.headers[o.id] == token then
    o.task = Q.read_task(o.id)
    o.cancelled = cancels[o.id]
    -- A task that shall be cancelled does not run again.
    if o.cancelled and RUNS_AGAIN[word] then word = 'cancelled' end
    record_outcome[word](o)
    left[#left + 1] = o.id
    return
  end
  local task, claims = Q.read_task(o.id), tonumber(string.match(token, '^%l+ (%d+)'))
  local mine = task and task.claims == claims and task.worker == worker
  if not mine then stale[#stale + 1] = position end
  -- A task that moved on to this worker under a later claim stays held.
  if mine or not task or task.worker ~= worker then left[#left + 1] = o.id end
end

-- Calls `each(position, token, bytes)` for every success, until it answers false. Returns whether it never did.
local function each_success(each)
  local position = 0
  for at = GROUPS_FROM, RESULTS_FROM - 2, 3 do
    local token, bytes = ARGV[at], ARGV[at + 1]
    for _ = 1, tonumber(ARGV[at + 2]) do
      position = position + 1
      if each(position, token, bytes) == false then return false end
    end
  end
  return true
end

local function all_run_as_told()
  local found = redis.call('HMGET', Q.HEADERS, unpack(ARGV, IDS_FROM, IDS_TO))
  return each_success(function(position, token) return found[position] == token end)
end

-- What nearly every call is: all of them are as told, and nothing has to be taken apart.
local function record_all_successes()
  local written, last = {}, 0
  local token, bytes, header
  each_success(function(position, its_token, its_bytes)
    if token ~= its_token or bytes ~= its_bytes then
      token, bytes = its_token, its_bytes
      header = 'succeeded' .. string.sub(token, 8) .. ' ' .. Q.NOW_TEXT .. ' ' .. bytes
    end
    written[last + 1], written[last + 2] = ARGV[IDS_FROM + position - 1], header
    last = last + 2
  end)
  redis.call('HSET', Q.HEADERS, unpack(written))
  if OTHERS_FROM > RESULTS_FROM then redis.call('HSET', Q.RESULTS, unpack(ARGV, RESULTS_FROM, OTHERS_FROM - 1)) end
  redis.call('RPUSH', Q.DONE, unpack(ARGV, IDS_FROM, IDS_TO))
  redis.call('SREM', Q.running_key(worker), unpack(ARGV, IDS_FROM, IDS_TO))
  Q.move_many(successes, 'running', 'succeeded', Q.moves_text(ARGV, 'succeeded', IDS_FROM, IDS_TO))
  Q.kept_bytes = Q.kept_bytes + tonumber(ARGV[7])
end

local function record_successes_one_by_one()
  local results = {}
  for at = RESULTS_FROM, OTHERS_FROM - 1, 2 do results[ARGV[at]] = ARGV[at + 1] end
  Q.load_tasks({ unpack(ARGV, IDS_FROM, IDS_TO) })
  each_success(function(position, token)
    local id = ARGV[IDS_FROM + position - 1]
    record(position, 'succeeded', { id = id, payload = results[id] or '' }, token)
  end)
end

if successes > 0 then
  if all_run_as_told() then record_all_successes() else record_successes_one_by_one() end
end
local other_ids = {}
for at = OTHERS_FROM, #ARGV, 6 do other_ids[#other_ids + 1] = ARGV[at] end
Q.load_tasks(other_ids)
Q.load(Q.CANCELS, cancels, other_ids)
for at = OTHERS_FROM, #ARGV, 6 do
  local o = { id = ARGV[at], payload = ARGV[at + 3], delay = tonumber(ARGV[at + 4]), ttl = tonumber(ARGV[at + 5]) }
  record(successes + (at - OTHERS_FROM) / 6 + 1, ARGV[at + 2], o, ARGV[at + 1])
end
Q.call_sliced('SREM', Q.running_key(worker), left)

if want > 0 and not Q.PAUSED then
  Q.take_more(worker, want, tonumber(ARGV[4]), tonumber(ARGV[5]))
  Q.hold(worker)
end
Q.commit()
return { Q.PAUSED and 'paused' or 'claimed', stale, Q.taken }
