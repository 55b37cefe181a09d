-- Shared by every script, put in front of each by scripts.ts, which also defines TRANSITIONS, LANES and the record's fields (F) from TypeScript.
-- KEYS[1] is always the queue's prefix `pf:{q}`; all other keys are built from it and share its slot.

local BASE = KEYS[1]
local CONTROL = BASE .. ':control'
local WORKERS = BASE .. ':workers'
local LATER = BASE .. ':later'
local DONE = BASE .. ':done'
local DEAD = BASE .. ':dead'
-- Events kept for readers that come back.
local EVENTS_KEPT = 10000

local KEPT = BASE .. ':kept'
local UNSTARTED = BASE .. ':unstarted'
local TICKS = BASE .. ':ticks'
-- Failed attempts that are remembered of a task.
local ERRORS_KEPT = 20

local function task_key(id) return BASE .. ':task:' .. id end
local function ready_key(lane) return BASE .. ':ready:' .. lane end
local function ledger_key(lane) return BASE .. ':ledger:' .. lane end
local function errors_key(id) return BASE .. ':errors:' .. id end
local function log_key(id) return BASE .. ':log:' .. id end
local function running_key(worker) return BASE .. ':running:' .. worker end

-- NOW is in milliseconds and never goes backwards. When the host's clock is set back, the difference is kept as a skew that is
-- paid back at half speed, so leases only ever get longer and the fleet's time finds back to the host's.
local function read_clock(seen_wall, seen_skew)
  local time = redis.call('TIME')
  local wall = time[1] * 1000 + math.floor(time[2] / 1000)
  local elapsed = wall - (tonumber(seen_wall) or wall)
  local skew = tonumber(seen_skew) or 0
  if elapsed < 0 then
    skew = skew - elapsed
  elseif skew > 0 then
    skew = math.max(0, skew - math.floor(elapsed / 2))
  end
  if elapsed ~= 0 or not seen_wall then redis.call('HSET', CONTROL, 'wall', wall, 'skew', skew) end
  return wall + skew, wall
end

local control = redis.call('HMGET', CONTROL, 'wall', 'skew', 'paused', 'sweep_at')
local NOW, WALL = read_clock(control[1], control[2])
local PAUSED = control[3] and true or false

-- One command with many arguments, in slices that Lua can unpack. Pairs stay together: slices are even.
local function call_sliced(command, key, arguments)
  for from = 1, #arguments, 1000 do
    redis.call(command, key, unpack(arguments, from, math.min(from + 999, #arguments)))
  end
end

-- Task ids stand at bytes 4 to 39 of a message, behind an array head and the head of a text of 36 bytes.
local function id_of(message)
  local first, second, third = string.byte(message, 1, 3)
  if not third or first < 0x83 or first > 0x85 or second ~= 0x78 or third ~= 36 then return nil end
  if string.byte(message, 40) ~= 1 then return nil end
  local id = string.sub(message, 4, 39)
  if #id < 36 or string.find(id, '[^0-9a-f-]') then return nil end
  return id
end

-- What stands on a list for a task that has a record: `[id, 1, type]`, the head of its message as an array of three.
local function reference_of(message)
  local head = string.byte(message, 41)
  local stop = head == 0x78 and 42 + string.byte(message, 42) or 41 + head - 0x60
  return '\131' .. string.sub(message, 2, stop)
end

local deltas, events = {}, {}
-- Finished tasks by the list they belong on, and the bytes that finished tasks keep more (or fewer) than before.
local listed, kept_bytes = { [DONE] = {}, [DEAD] = {} }, 0

-- The only place where a task changes its state. `fields` is a flat list of record fields written with it.
local function move(id, from, to, fields)
  if not TRANSITIONS[from][to] then
    error({ err = 'popfleet: illegal move from ' .. from .. ' to ' .. to })
  end
  if from ~= 'new' then deltas[from] = (deltas[from] or 0) - 1 end
  deltas[to] = (deltas[to] or 0) + 1
  events[#events + 1] = id .. to
  if to == 'removed' then
    redis.call('UNLINK', task_key(id), errors_key(id), log_key(id))
  elseif not (from == 'new' and to == 'ready') then
    fields[#fields + 1] = F.state
    fields[#fields + 1] = to
    redis.call('HSET', task_key(id), unpack(fields))
  end
end

local function count(name, by)
  if by ~= 0 then redis.call('HINCRBY', BASE .. ':count', name, by) end
end

-- Writes what `move` has gathered; every script that moves tasks ends with it.
local function commit()
  for state, by in pairs(deltas) do count(state, by) end
  for list, pairs_of_score_and_id in pairs(listed) do call_sliced('ZADD', list, pairs_of_score_and_id) end
  count('bytes', kept_bytes)
  if #events > 0 then
    redis.call('XADD', BASE .. ':events', 'MAXLEN', '=', EVENTS_KEPT, '*', 'm', table.concat(events, ' '))
  end
end

-- Ends a task: moves it to a terminal state, lists it there, and counts what it keeps against the retention by size.
-- `kept_ms` is its own time to live, or nil for that of the fleet.
local function end_task(id, from, to, fields, bytes, kept_ms)
  fields[#fields + 1], fields[#fields + 2] = F.finished, NOW
  fields[#fields + 1], fields[#fields + 2] = F.bytes, bytes
  move(id, from, to, fields)
  local list = listed[to == 'dead' and DEAD or DONE]
  list[#list + 1], list[#list + 2] = NOW, id
  if kept_ms then redis.call('ZADD', KEPT, NOW + kept_ms, id) end
  kept_bytes = kept_bytes + bytes
end

-- A task that was not started in time.
local function expire(id, state, message)
  end_task(id, state, 'dead', { F.error, EXPIRED_ERROR }, #message + #EXPIRED_ERROR)
end

-- Remembers how an attempt failed: started, ended, claim, worker, then the error as CBOR.
local function remember_error(id, started, claim, worker, payload)
  redis.call('RPUSH', errors_key(id), (started or NOW) .. ' ' .. NOW .. ' ' .. claim .. ' ' .. worker .. ' ' .. payload)
  redis.call('LTRIM', errors_key(id), -ERRORS_KEPT, -1)
end

-- The state of a record whose message and state field were read; nil without a record.
local function state_of(message, state)
  return state or (message and 'ready') or nil
end

-- ready and ledger always get the same push at the same end.
local function push(command, lane, id, message, claims)
  redis.call(command, ready_key(lane), reference_of(message))
  redis.call(command, ledger_key(lane), id .. ':' .. claims)
end

-- Tells sleeping sweepers that something is due earlier than they know.
local function wake_at(due)
  local planned = tonumber(control[4]) or 0
  if due < planned then
    control[4] = due
    redis.call('HSET', CONTROL, 'sweep_at', due)
    redis.call('PUBLISH', BASE .. ':wake', math.max(0, due - NOW))
  end
end

local function plan(id, due)
  redis.call('ZADD', LATER, due, id)
  wake_at(due)
end

local function renew_lease(worker, lease_ms)
  redis.call('ZADD', WORKERS, NOW + lease_ms, worker)
end
