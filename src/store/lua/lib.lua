-- Shared by every script that changes something, put in front of each by scripts.ts, which also defines TRANSITIONS, LANES and the
-- columns (COLUMNS) from TypeScript.
-- KEYS[1] is always the queue's prefix `pf:{q}`; all other keys are built from it and share its slot.

local BASE = KEYS[1]
local CONTROL = BASE .. ':control'
local WORKERS = BASE .. ':workers'
local LATER = BASE .. ':later'
local DONE = BASE .. ':done'
local DEAD = BASE .. ':dead'
local KEPT = BASE .. ':kept'
local UNSTARTED = BASE .. ':unstarted'
local TICKS = BASE .. ':ticks'
-- Entries of the event stream that are kept for readers that come back: fewer, when calls make many moves each.
local EVENTS_KEPT, FEWEST_EVENTS_KEPT, MOVES_KEPT = 10000, 50, 50000
-- Failed attempts that are remembered of a task.
local ERRORS_KEPT = 20

-- A task is a row over these hashes, each from task id to one value; most tasks have few of them. One hash a column, and not one
-- a task, because a batch then costs one command a column, however many tasks it has.
local CONTENTS = BASE .. ':' .. COLUMNS.content
local HEADERS = BASE .. ':' .. COLUMNS.header
local RESULTS = BASE .. ':' .. COLUMNS.result
local LAST_ERRORS = BASE .. ':' .. COLUMNS.error
local EXPIRES = BASE .. ':' .. COLUMNS.expires
local DUE = BASE .. ':' .. COLUMNS.due
local CANCELS = BASE .. ':' .. COLUMNS.cancel
local PROGRESS = BASE .. ':' .. COLUMNS.progress

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
-- Lua writes a number anew each time it joins a text, and slowly.
local NOW_TEXT = string.format('%.0f', NOW)
local PAUSED = control[3] and true or false

-- One command with many arguments, in slices that Lua can unpack. Pairs stay together: slices are even.
local function call_sliced(command, key, arguments)
  for from = 1, #arguments, 1000 do
    redis.call(command, key, unpack(arguments, from, math.min(from + 999, #arguments)))
  end
end

-- Task ids stand at bytes 4 to 39 of a message, behind an array head and the head of a text of 36 bytes. Whether they are the id
-- of a task, a record tells.
local function id_of(message)
  local first, second, third = string.byte(message, 1, 3)
  if not third or first < 0x83 or first > 0x85 or second ~= 0x78 or third ~= 36 then return nil end
  if string.byte(message, 40) ~= 1 then return nil end
  return string.sub(message, 4, 39)
end

-- What stands on a list for a task that has a row: `[id, 1, type]`. A content begins with an array head and the type.
local function reference_of(id, content)
  local head = string.byte(content, 2)
  local stop = head == 0x78 and 3 + string.byte(content, 3) or 2 + head - 0x60
  return '\131x$' .. id .. '\1' .. string.sub(content, 2, stop)
end

-- A first push is the common one: its entry is the id alone.
local function ledger_entry(id, claims)
  if claims == 0 then return id end
  return id .. ':' .. claims
end

-- What this call knows of tasks: id to value, false = there is none. Filled by `load` and kept up to date by what writes.
local headers, contents = {}, {}

local function load(column, cache, ids)
  local unknown = {}
  for at = 1, #ids do
    local id = ids[at]
    if cache[id] == nil then
      cache[id] = false
      unknown[#unknown + 1] = id
    end
  end
  for from = 1, #unknown, 1000 do
    local to = math.min(from + 999, #unknown)
    local values = redis.call('HMGET', column, unpack(unknown, from, to))
    for at = from, to do cache[unknown[at]] = values[at - from + 1] end
  end
end

local function load_tasks(ids)
  load(HEADERS, headers, ids)
  load(CONTENTS, contents, ids)
end

-- The header of a task: state, claims, failures, crashes, lane, accepted (0 = the time in its id), started (0 = never), worker
-- ('-' = none), and once it is finished when, and the bytes it keeps. A task without one is ready for the first time, in the normal lane.
local HEADER = '^(%l+) (%d+) (%d+) (%d+) (%l+) (%d+) (%d+) (%S+)%s?(%d*)%s?(%d*)$'

-- The header as a table, or nil when there is no such task. Both columns of the task were loaded.
local function read_task(id)
  local header = headers[id]
  if not header then
    if not contents[id] then return nil end
    return { state = 'ready', claims = 0, failures = 0, crashes = 0, lane = 'normal', accepted = 0, started = 0, worker = '-' }
  end
  local state, claims, failures, crashes, lane, accepted, started, worker, finished, bytes = string.match(header, HEADER)
  return {
    state = state, claims = tonumber(claims), failures = tonumber(failures), crashes = tonumber(crashes), lane = lane,
    accepted = accepted, started = started, worker = worker, finished = tonumber(finished), bytes = tonumber(bytes) or 0,
  }
end

local function header_text(task)
  local text = task.state .. ' ' .. task.claims .. ' ' .. task.failures .. ' ' .. task.crashes .. ' ' .. task.lane .. ' '
    .. task.accepted .. ' ' .. task.started .. ' ' .. task.worker
  if task.finished then return text .. ' ' .. task.finished .. ' ' .. task.bytes end
  return text
end

-- Moves become one event: those made together in a field of their own, and all others in one more.
local deltas, events, single_moves, moves_made = {}, {}, {}, 0
-- What `commit` writes: ids whose header has changed, values by column, ids whose rows go.
local changed, values, removed = {}, {}, {}
-- Finished tasks by the list they belong on, and the bytes that finished tasks keep more (or fewer) than before.
local done, dead, kept_bytes = {}, {}, 0

local function put(column, id, value)
  local written = values[column]
  if not written then
    written = {}
    values[column] = written
  end
  written[#written + 1] = id
  written[#written + 1] = value
end

-- Ids that each have the new state behind them, with a blank between two.
local function moves_text(ids, to, first, last) return table.concat(ids, to .. ' ', first, last) .. to end

-- The only place where tasks change their state: checks the move against the table and keeps the counts and the events.
-- `moves` tells them, as `moves_text` writes it.
local function move_many(number, from, to, moves)
  if not TRANSITIONS[from][to] then
    error({ err = 'popfleet: illegal move from ' .. from .. ' to ' .. to })
  end
  if from ~= 'new' then deltas[from] = (deltas[from] or 0) - number end
  deltas[to] = (deltas[to] or 0) + number
  moves_made = moves_made + number
  if number == 1 then
    single_moves[#single_moves + 1] = moves
  else
    local last = #events
    events[last + 1], events[last + 2] = 'm', moves
  end
end

-- Moves one task. `header` is its header from now on; none for a task that is new and has none.
local function move(id, from, to, header)
  move_many(1, from, to, id .. to)
  if to == 'removed' then
    removed[#removed + 1] = id
    headers[id], contents[id] = false, false
  elseif header then
    headers[id] = header
    changed[#changed + 1] = id
  end
end

-- `task` is what `read_task` answered, changed as far as more than its state changes.
local function move_task(id, task, to)
  local from = task.state
  task.state = to
  move(id, from, to, header_text(task))
end

-- Adds an entry to the event stream. `n` numbers the entries: a reader sees from it that it has missed some.
local function tell(moves, fields)
  local number = redis.call('HINCRBY', CONTROL, 'events', 1)
  local kept = math.min(EVENTS_KEPT, math.max(FEWEST_EVENTS_KEPT, math.ceil(MOVES_KEPT / moves)))
  redis.call('XADD', BASE .. ':events', 'MAXLEN', '=', kept, '*', 'n', number, unpack(fields))
end

local function count(name, by)
  if by ~= 0 then redis.call('HINCRBY', BASE .. ':count', name, by) end
end

local function write_headers()
  local pairs_of_id_and_header = {}
  for _, id in ipairs(changed) do
    local header = headers[id]
    if header then
      local at = #pairs_of_id_and_header
      pairs_of_id_and_header[at + 1], pairs_of_id_and_header[at + 2] = id, header
    end
  end
  call_sliced('HSET', HEADERS, pairs_of_id_and_header)
end

local function drop_rows()
  if #removed == 0 then return end
  for _, name in pairs(COLUMNS) do call_sliced('HDEL', BASE .. ':' .. name, removed) end
  local keys = {}
  for _, id in ipairs(removed) do
    keys[#keys + 1] = errors_key(id)
    keys[#keys + 1] = log_key(id)
  end
  call_sliced('UNLINK', keys[1], keys)
end

-- Writes what was gathered; every script that moves tasks ends with it.
local function commit()
  write_headers()
  for column, written in pairs(values) do call_sliced('HSET', column, written) end
  drop_rows()
  call_sliced('RPUSH', DONE, done)
  call_sliced('ZADD', DEAD, dead)
  for state, by in pairs(deltas) do count(state, by) end
  count('bytes', kept_bytes)
  if #single_moves > 0 then
    local last = #events
    events[last + 1], events[last + 2] = 'm', table.concat(single_moves, ' ')
  end
  if #events > 0 then tell(moves_made, events) end
end

-- Lists a task that has just ended, and counts what it keeps against the retention by size.
-- `kept_ms` is its own time to live, or nil for that of the fleet.
local function list_ended(id, to, bytes, kept_ms)
  if to == 'dead' then
    dead[#dead + 1], dead[#dead + 2] = NOW, id
  else
    done[#done + 1] = id
  end
  if kept_ms then redis.call('ZADD', KEPT, NOW + kept_ms, id) end
  kept_bytes = kept_bytes + bytes
end

-- Ends a task: moves it to a terminal state and lists it there. `payload` goes to `column`, the result or the last error.
local function end_task(id, task, to, column, payload, content_bytes, kept_ms)
  if payload ~= '' then put(column, id, payload) end
  task.finished, task.bytes = NOW, content_bytes + #payload
  move_task(id, task, to)
  list_ended(id, to, task.bytes, kept_ms)
end


-- A task that was not started in time.
local function expire(id, task)
  end_task(id, task, 'dead', LAST_ERRORS, EXPIRED_ERROR, #contents[id])
end

-- Remembers how an attempt failed: started, ended, claim, worker, then the error as CBOR.
local function remember_error(id, task, payload)
  local started = task.started ~= '0' and task.started or NOW
  local entry = started .. ' ' .. NOW .. ' ' .. task.claims .. ' ' .. task.worker .. ' ' .. payload
  redis.call('RPUSH', errors_key(id), entry)
  redis.call('LTRIM', errors_key(id), -ERRORS_KEPT, -1)
end

-- ready and ledger always get the same push at the same end.
local function push(command, lane, id, claims)
  redis.call(command, ready_key(lane), reference_of(id, contents[id]))
  redis.call(command, ledger_key(lane), ledger_entry(id, claims))
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

-- A scheduled task is due then.
local function plan(id, due)
  redis.call('ZADD', LATER, due, id)
  put(DUE, id, due)
  wake_at(due)
end

local function renew_lease(worker, lease_ms)
  redis.call('ZADD', WORKERS, NOW + lease_ms, worker)
end
