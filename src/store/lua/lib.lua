-- Shared by every script that changes something, put in front of each by scripts.ts, which also opens `Q` with the tables that
-- TypeScript owns. Everything shared is a field of `Q`: a call makes all functions anew, and each variable that a function takes from
-- around it makes that slower (docs/decisions/0012).
-- KEYS[1] is always the queue's prefix `pf:{q}`; all other keys are built from it and share its slot.

Q.BASE = KEYS[1]
Q.CONTROL = Q.BASE .. ':control'
Q.WORKERS = Q.BASE .. ':workers'
-- What each worker says of itself.
Q.ANNOUNCED = Q.BASE .. ':announced'
Q.LATER = Q.BASE .. ':later'
Q.DONE = Q.BASE .. ':done'
Q.DEAD = Q.BASE .. ':dead'
Q.KEPT = Q.BASE .. ':kept'
Q.UNSTARTED = Q.BASE .. ':unstarted'
Q.TICKS = Q.BASE .. ':ticks'
-- Entries of the event stream that are kept for readers that come back: fewer, when calls make many moves each.
Q.EVENTS_KEPT, Q.FEWEST_EVENTS_KEPT = 10000, 50
-- Moves that are kept about: more when a call makes no more than a sweep does, so that one sweep costs no history.
Q.MOVES_KEPT, Q.MOVES_OF_A_SWEEP, Q.MOVES_KEPT_THEN = 50000, 100, 200000
-- Failed attempts that are remembered of a task.
Q.ERRORS_KEPT = 20

-- A task is a row over these hashes, each from task id to one value; most tasks have few of them. One hash a column, and not one
-- a task, because a batch then costs one command a column, however many tasks it has.
Q.CONTENTS = Q.BASE .. ':' .. Q.COLUMNS.content
Q.HEADERS = Q.BASE .. ':' .. Q.COLUMNS.header
Q.RESULTS = Q.BASE .. ':' .. Q.COLUMNS.result
Q.LAST_ERRORS = Q.BASE .. ':' .. Q.COLUMNS.error
Q.EXPIRES = Q.BASE .. ':' .. Q.COLUMNS.expires
Q.DUE = Q.BASE .. ':' .. Q.COLUMNS.due
Q.CANCELS = Q.BASE .. ':' .. Q.COLUMNS.cancel
Q.PROGRESS = Q.BASE .. ':' .. Q.COLUMNS.progress
Q.RESULT_TTLS = Q.BASE .. ':' .. Q.COLUMNS.resultTtl
Q.LOST_LEASES = Q.BASE .. ':' .. Q.COLUMNS.lostLeases

function Q.ready_key(lane) return Q.BASE .. ':ready:' .. lane end
function Q.ledger_key(lane) return Q.BASE .. ':ledger:' .. lane end
function Q.errors_key(id) return Q.BASE .. ':errors:' .. id end
function Q.log_key(id) return Q.BASE .. ':log:' .. id end
function Q.running_key(worker) return Q.BASE .. ':running:' .. worker end

-- The clock of the host has to be set back by this much before plans by the time of day are checked.
Q.SET_BACK_MS = 1000

-- NOW is in milliseconds and never goes backwards. When the host's clock is set back, the difference is kept as a skew. It is paid
-- back by one millisecond in ten, so leases and delays are longer by a ninth at most, and never shorter (docs/decisions/0015).
function Q.read_clock(seen_wall, seen_skew)
  local time = redis.call('TIME')
  local wall = time[1] * 1000 + math.floor(time[2] / 1000)
  local seen = tonumber(seen_wall) or wall
  local skew = tonumber(seen_skew) or 0
  if wall < seen then
    skew = skew + seen - wall
    if seen - wall > Q.SET_BACK_MS then redis.call('HSET', Q.CONTROL, 'set_back', wall) end
  elseif skew > 0 then
    -- Counted by full hundredths of a second that have passed: calls that follow each other within one pay nothing twice.
    skew = math.max(0, skew - math.floor(wall / 10) + math.floor(seen / 10))
  end
  if wall ~= seen or not seen_wall then redis.call('HSET', Q.CONTROL, 'wall', wall, 'skew', skew) end
  return wall + skew, wall
end

Q.control = redis.call('HMGET', Q.CONTROL, 'wall', 'skew', 'paused', 'sweep_at')
Q.NOW, Q.WALL = Q.read_clock(Q.control[1], Q.control[2])
-- Lua writes a number anew each time it joins a text, and slowly.
Q.NOW_TEXT = string.format('%.0f', Q.NOW)
Q.PAUSED = Q.control[3] and true or false

-- One command with many arguments, in slices that Lua can unpack. Pairs stay together: slices are even.
function Q.call_sliced(command, key, arguments)
  for from = 1, #arguments, 1000 do
    redis.call(command, key, unpack(arguments, from, math.min(from + 999, #arguments)))
  end
end

-- Task ids stand at bytes 4 to 39 of a message, behind an array head and the head of a text of 36 bytes. Whether they are the id
-- of a task, a record tells.
function Q.id_of(message)
  local first, second, third = string.byte(message, 1, 3)
  if not third or first < 0x83 or first > 0x85 or second ~= 0x78 or third ~= 36 then return nil end
  if string.byte(message, 40) ~= 1 then return nil end
  return string.sub(message, 4, 39)
end

-- What stands on a list for a task that has a row: `[id, 1, type]`. A content begins with an array head and the type.
function Q.reference_of(id, content)
  local head = string.byte(content, 2)
  local stop = head == 0x78 and 3 + string.byte(content, 3) or 2 + head - 0x60
  return '\131x$' .. id .. '\1' .. string.sub(content, 2, stop)
end

-- A first push is the common one: its entry is the id alone.
function Q.ledger_entry(id, claims)
  if claims == 0 then return id end
  return id .. ':' .. claims
end

-- What this call knows of tasks: id to value, false = there is none. Filled by `load` and kept up to date by what writes.
Q.headers, Q.contents = {}, {}

function Q.load(column, cache, ids)
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

function Q.load_tasks(ids)
  Q.load(Q.HEADERS, Q.headers, ids)
  Q.load(Q.CONTENTS, Q.contents, ids)
end

-- The header of a task: state, claims, failures, crashes, lane, accepted (0 = the time in its id), started (0 = never), worker
-- ('-' = none), and once it is finished when, and the bytes it keeps. A task without one is ready for the first time, in the normal lane.
Q.HEADER = '^(%l+) (%d+) (%d+) (%d+) (%l+) (%d+) (%d+) (%S+)%s?(%d*)%s?(%d*)$'

-- The header as a table, or nil when there is no such task, or its header is none. Both columns of the task were loaded.
function Q.read_task(id)
  local header = Q.headers[id]
  if not header then
    if not Q.contents[id] then return nil end
    return { state = 'ready', claims = 0, failures = 0, crashes = 0, lane = 'normal', accepted = 0, started = 0, worker = '-' }
  end
  local state, claims, failures, crashes, lane, accepted, started, worker, finished, bytes = string.match(header, Q.HEADER)
  -- Another program has spoilt it: nothing is done with this task but to show it, and to remove it.
  if not state then return nil end
  return {
    state = state, claims = tonumber(claims), failures = tonumber(failures), crashes = tonumber(crashes), lane = lane,
    accepted = accepted, started = started, worker = worker, finished = tonumber(finished), bytes = tonumber(bytes) or 0,
  }
end

function Q.header_text(task)
  local text = task.state .. ' ' .. task.claims .. ' ' .. task.failures .. ' ' .. task.crashes .. ' ' .. task.lane .. ' '
    .. task.accepted .. ' ' .. task.started .. ' ' .. task.worker
  if task.finished then return text .. ' ' .. task.finished .. ' ' .. task.bytes end
  return text
end

-- Moves become one event: those made together in a field of their own, and all others in one more.
Q.deltas, Q.events, Q.single_moves, Q.moves_made = {}, {}, {}, 0
-- What `commit` writes: ids whose header has changed, values by column, ids whose rows go.
Q.changed, Q.column_values, Q.removed = {}, {}, {}
-- Finished tasks by the list they belong on, and the bytes that finished tasks keep more (or fewer) than before.
Q.done_ids, Q.dead_pairs, Q.kept_bytes = {}, {}, 0

function Q.put(column, id, value)
  local written = Q.column_values[column]
  if not written then
    written = {}
    Q.column_values[column] = written
  end
  written[#written + 1] = id
  written[#written + 1] = value
end

-- Ids that each have the new state behind them, with a blank between two.
function Q.moves_text(ids, to, first, last) return table.concat(ids, to .. ' ', first, last) .. to end

-- The only place where tasks change their state: checks the move against the table and keeps the counts and the events.
-- `moves` tells them, as `moves_text` writes it.
function Q.move_many(number, from, to, moves)
  if not Q.TRANSITIONS[from][to] then
    error({ err = 'popfleet: illegal move from ' .. from .. ' to ' .. to })
  end
  if from ~= 'new' then Q.deltas[from] = (Q.deltas[from] or 0) - number end
  Q.deltas[to] = (Q.deltas[to] or 0) + number
  Q.moves_made = Q.moves_made + number
  if number == 1 then
    Q.single_moves[#Q.single_moves + 1] = moves
  else
    local last = #Q.events
    Q.events[last + 1], Q.events[last + 2] = 'm', moves
  end
end

-- Moves one task. `header` is its header from now on; none for a task that is new and has none.
function Q.move(id, from, to, header)
  Q.move_many(1, from, to, id .. to)
  if to == 'removed' then
    Q.removed[#Q.removed + 1] = id
    Q.headers[id], Q.contents[id] = false, false
  elseif header then
    Q.headers[id] = header
    Q.changed[#Q.changed + 1] = id
  end
end

-- `task` is what `read_task` answered, changed as far as more than its state changes.
function Q.move_task(id, task, to)
  local from = task.state
  task.state = to
  Q.move(id, from, to, Q.header_text(task))
end

-- Adds an entry to the event stream. `n` numbers the entries: a reader sees from it that it has missed some.
function Q.tell(moves, fields)
  local number = redis.call('HINCRBY', Q.CONTROL, 'events', 1)
  local moves_kept = moves <= Q.MOVES_OF_A_SWEEP and Q.MOVES_KEPT_THEN or Q.MOVES_KEPT
  local kept = math.min(Q.EVENTS_KEPT, math.max(Q.FEWEST_EVENTS_KEPT, math.ceil(moves_kept / moves)))
  redis.call('XADD', Q.BASE .. ':events', 'MAXLEN', '=', kept, '*', 'n', number, unpack(fields))
end

-- Returns the new count.
function Q.count(name, by)
  if by ~= 0 then return redis.call('HINCRBY', Q.BASE .. ':count', name, by) end
end

function Q.write_headers()
  local pairs_of_id_and_header = {}
  for _, id in ipairs(Q.changed) do
    local header = Q.headers[id]
    if header then
      local at = #pairs_of_id_and_header
      pairs_of_id_and_header[at + 1], pairs_of_id_and_header[at + 2] = id, header
    end
  end
  Q.call_sliced('HSET', Q.HEADERS, pairs_of_id_and_header)
end

function Q.drop_rows()
  if #Q.removed == 0 then return end
  for _, name in pairs(Q.COLUMNS) do Q.call_sliced('HDEL', Q.BASE .. ':' .. name, Q.removed) end
  local keys = {}
  for _, id in ipairs(Q.removed) do
    keys[#keys + 1] = Q.errors_key(id)
    keys[#keys + 1] = Q.log_key(id)
  end
  Q.call_sliced('UNLINK', keys[1], keys)
end

-- Writes what was gathered; every script that moves tasks ends with it.
function Q.commit()
  Q.write_headers()
  for column, written in pairs(Q.column_values) do Q.call_sliced('HSET', column, written) end
  Q.drop_rows()
  Q.call_sliced('RPUSH', Q.DONE, Q.done_ids)
  Q.call_sliced('ZADD', Q.DEAD, Q.dead_pairs)
  for state, by in pairs(Q.deltas) do Q.count(state, by) end
  Q.count('bytes', Q.kept_bytes)
  -- In front: what is moved alone is most often of a higher lane, or comes back, and was taken first.
  if #Q.single_moves > 0 then
    table.insert(Q.events, 1, table.concat(Q.single_moves, ' '))
    table.insert(Q.events, 1, 'm')
  end
  if #Q.events > 0 then Q.tell(Q.moves_made, Q.events) end
end

-- Lists a task that has just ended, and counts what it keeps against the retention by size.
-- `kept_ms` is its own time to live, or nil for that of the fleet.
function Q.list_ended(id, to, bytes, kept_ms)
  if to == 'dead' then
    local last = #Q.dead_pairs
    Q.dead_pairs[last + 1], Q.dead_pairs[last + 2] = Q.NOW, id
  else
    Q.done_ids[#Q.done_ids + 1] = id
  end
  if kept_ms then redis.call('ZADD', Q.KEPT, Q.NOW + kept_ms, id) end
  Q.kept_bytes = Q.kept_bytes + bytes
end

-- Bytes of Redis' memory that a task takes once it has ended, about. bytesKept in record.ts counts the plain ones.
function Q.bytes_kept(id, to, content_bytes, payload, kept_ms)
  local bytes = Q.ROW_BYTES + content_bytes
  if payload ~= '' then bytes = bytes + Q.VALUE_BYTES + #payload end
  local progress = redis.call('HSTRLEN', Q.PROGRESS, id)
  if progress > 0 then bytes = bytes + Q.VALUE_BYTES + progress end
  -- Sorted sets need more than a list.
  if to == 'dead' then bytes = bytes + Q.VALUE_BYTES end
  if kept_ms then bytes = bytes + Q.VALUE_BYTES end
  for _, key in ipairs({ Q.errors_key(id), Q.log_key(id) }) do
    bytes = bytes + (redis.call('MEMORY', 'USAGE', key) or 0)
  end
  return bytes
end

-- What the task was accepted with: how long it is kept once it has ended, in ms; nil = as long as the fleet keeps tasks.
function Q.result_ttl(id)
  if Q.has_result_ttls == nil then Q.has_result_ttls = redis.call('EXISTS', Q.RESULT_TTLS) == 1 end
  return Q.has_result_ttls and tonumber(redis.call('HGET', Q.RESULT_TTLS, id)) or nil
end

-- Ends a task: moves it to a terminal state and lists it there. `payload` goes to `column`, the result or the last error.
-- `kept_ms` is the time to live that a worker has read in its message, or nil: not every task ends with a worker.
function Q.end_task(id, task, to, column, payload, content_bytes, kept_ms)
  kept_ms = kept_ms or Q.result_ttl(id)
  if payload ~= '' then Q.put(column, id, payload) end
  task.finished, task.bytes = Q.NOW, Q.bytes_kept(id, to, content_bytes, payload, kept_ms)
  Q.move_task(id, task, to)
  Q.list_ended(id, to, task.bytes, kept_ms)
end

-- A task that was not started in time.
function Q.expire(id, task)
  Q.end_task(id, task, 'dead', Q.LAST_ERRORS, Q.EXPIRED_ERROR, #Q.contents[id])
end

-- Remembers how an attempt failed: started, ended, claim, worker, then the error as CBOR.
function Q.remember_error(id, task, payload)
  local started = task.started ~= '0' and task.started or Q.NOW
  local entry = started .. ' ' .. Q.NOW .. ' ' .. task.claims .. ' ' .. task.worker .. ' ' .. payload
  redis.call('RPUSH', Q.errors_key(id), entry)
  redis.call('LTRIM', Q.errors_key(id), -Q.ERRORS_KEPT, -1)
end

-- ready and ledger always get the same push at the same end.
function Q.push(command, lane, id, claims)
  redis.call(command, Q.ready_key(lane), Q.reference_of(id, Q.contents[id]))
  redis.call(command, Q.ledger_key(lane), Q.ledger_entry(id, claims))
end

-- Tells sleeping sweepers that something is due earlier than they know.
function Q.wake_at(due)
  local planned = tonumber(Q.control[4]) or 0
  if due < planned then
    Q.control[4] = due
    redis.call('HSET', Q.CONTROL, 'sweep_at', due)
    redis.call('PUBLISH', Q.BASE .. ':wake', math.max(0, due - Q.NOW))
  end
end

-- A scheduled task is due then.
function Q.plan(id, due)
  redis.call('ZADD', Q.LATER, due, id)
  Q.put(Q.DUE, id, due)
  Q.wake_at(due)
end

function Q.renew_lease(worker, lease_ms)
  redis.call('ZADD', Q.WORKERS, Q.NOW + lease_ms, worker)
end
