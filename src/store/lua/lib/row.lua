-- A task is a row over these hashes, each from task id to one value; most tasks have few of them. One hash a column, and not one
-- a task, because a batch then costs one command a column, however many tasks it has.

-- One command with many arguments, in slices that Lua can unpack. Pairs stay together: slices are even.
function Q.call_sliced(command, key, arguments)
  for from = 1, #arguments, 1000 do
    redis.call(command, key, unpack(arguments, from, math.min(from + 999, #arguments)))
  end
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

-- The header of a task that was loaded, as a table; nil when there is no such task, or its header is none.
function Q.read_task(id)
  local header = Q.headers[id]
  if not header and not Q.contents[id] then return nil end
  return Q.read_header(header)
end

-- A time in ms that stands in a column; nil when there is none, or another program has spoilt it.
function Q.read_time(text) return tonumber(string.match(text or '', '^[%d.]+$')) end

-- Adds one to a number of a task. One that another program has spoilt is `anew` from then on.
function Q.count_up(column, id, anew)
  local number = redis.pcall('HINCRBY', column, id, 1)
  if type(number) == 'number' then return number end
  if not string.find(number.err, 'not an integer', 1, true) then error(number) end
  Q.put(column, id, anew)
  return anew
end

-- What `commit` writes to each column: id, value, id, value …; and ids whose rows go.
Q.written, Q.removed = {}, {}

-- The list of a column, to add to.
function Q.written_to(column)
  local written = Q.written[column]
  if not written then
    written = {}
    Q.written[column] = written
  end
  return written
end

function Q.put(column, id, value)
  local written = Q.written_to(column)
  local last = #written
  written[last + 1], written[last + 2] = id, value
end

function Q.put_header(id, task)
  local header = Q.write_header(task)
  Q.headers[id] = header
  Q.put(Q.HEADERS, id, header)
end

function Q.write_rows()
  for column, written in pairs(Q.written) do Q.call_sliced('HSET', column, written) end
  if #Q.removed == 0 then return end
  Q.drop_rows(Q.removed)
end
