-- Hand-over (lib/hand-over.lua), once there may be idle workers: claims tasks for them, and sends them.

-- Idle workers that are looked at at once, and how often when some are gone.
Q.WORKERS_A_ROUND = 16
Q.ROUNDS = 3
-- Bytes of a content that is handed over: what is larger waits for a claim.
Q.LARGEST_HANDED = 65536
-- A worker that has not said for so long, in ms, that it has its last hand gets no other one before it does. So one that is frozen, or
-- whose machine is gone while its connection seems open, keeps few tasks until its lease has run out.
Q.UNHEARD_MS = 100

-- Idle workers for so many tasks, and whether others may be left behind some that are gone.
local function find_idle(number)
  local idle, names = {}, redis.call('ZRANGE', Q.IDLE, 0, math.min(number, Q.WORKERS_A_ROUND) - 1)
  if #names == 0 then
    redis.call('HDEL', Q.QUEUE, 'idle')
    Q.control[9] = false
  end
  for _, name in ipairs(names) do
    local hands, lease = Q.read_hands(name), tonumber(redis.call('ZSCORE', Q.WORKERS, name))
    local since = hands and Q.unheard_since(hands)
    local is_heard = hands and (not since or Q.NOW - since <= Q.UNHEARD_MS)
    -- A release before may have forgotten the worker, and not this.
    if is_heard and hands.free > 0 and lease and lease > Q.NOW then
      idle[#idle + 1] = { name = name, hands = hands, ids = {}, message = {}, sizes = {}, tokens = {}, token_of = {} }
    else
      redis.call('ZREM', Q.IDLE, name)
    end
  end
  return idle, #idle < #names
end

local function may_be_handed(id, content)
  if #content > Q.LARGEST_HANDED then return false end
  local task = #Q.guards > 0 and Q.read_header(Q.headers[id])
  for _, guard in ipairs(Q.guards) do
    if guard(id, task) ~= 'take' then return false end
  end
  return true
end

local function add(worker, id, content)
  local header = Q.headers[id] or ''
  local token = worker.token_of[header]
  if not token then
    token = Q.header_of_claim(worker.name, Q.headers[id])
    worker.token_of[header] = token
  end
  local ids, sizes, message = worker.ids, worker.sizes, worker.message
  ids[#ids + 1], worker.tokens[#worker.tokens + 1] = id, token
  sizes[#sizes + 1], sizes[#sizes + 2] = #token, #content
  message[#message + 1], message[#message + 2], message[#message + 3] = id, token, content
end

-- Gives each task to one of the idle workers in turn, the highest lane first, up to the first one that nobody may have.
local function share_out(lanes, idle)
  local turn = 0
  for _, lane in ipairs(Q.LANES) do
    local group = lanes[lane]
    for at, id in ipairs(group and group.ids or {}) do
      if not Q.is_handed[id] then
        local content = group.rows[2 * at]
        local tries = 0
        repeat
          turn, tries = turn % #idle + 1, tries + 1
        until #idle[turn].ids < idle[turn].hands.free or tries > #idle
        if tries > #idle or not may_be_handed(id, content) then return end
        add(idle[turn], id, content)
      end
    end
  end
end

-- Sends a worker its tasks: `<number> <time> <bytes of header and content of each>` and a line feed, then id, header and content of each.
-- They are its own when it hears it. Returns whether its connection is open.
local function hand_to(worker)
  local ids, hands = worker.ids, worker.hands
  if #ids == 0 then return true end
  local number = hands.last + #ids
  local head = string.format('%.0f %s ', number, Q.NOW_TEXT) .. table.concat(worker.sizes, ' ') .. '\n'
  local channel = 'hand-' .. worker.name
  -- Not by what PUBLISH answers: a worker that still listens to another node, or to a replica, would hear what is not counted here.
  if Q.listeners(channel) == 0 then
    Q.stop_hands(worker.name, hands)
    return false
  end
  Q.publish(channel, head .. table.concat(worker.message))
  local written, unheard = Q.written_to(Q.HEADERS), {}
  for at, id in ipairs(ids) do
    local token = worker.tokens[at]
    Q.is_handed[id], Q.headers[id] = true, token
    written[#written + 1], written[#written + 2] = id, token
    unheard[at] = string.format(' %s %s %s', Q.NOW_TEXT, id, string.match(token, '^%l+ (%d+)'))
  end
  if hands.unheard == '' then
    redis.call('ZADD', Q.UNHEARD, Q.NOW + hands.grace, worker.name)
    Q.wake_at(Q.NOW + hands.grace)
  end
  hands.unheard = hands.unheard .. table.concat(unheard)
  Q.move_many(ids, 'ready', 'running')
  Q.take_hold(worker.name, ids)
  Q.note_started(ids)
  hands.last, hands.free, hands.at = number, hands.free - #ids, Q.NOW_TEXT
  Q.write_hands(worker.name, hands)
  -- The others first.
  if hands.free > 0 then redis.call('ZADD', Q.IDLE, 'XX', Q.NOW_TEXT, worker.name) end
  return true
end

Q.is_handed = {}

function Q.share_out(lanes, number)
  -- These tasks were moved in this call already: the event tells both moves, this one after that.
  Q.moves_in_order = true
  for _ = 1, Q.ROUNDS do
    local idle, were_some_gone = find_idle(number)
    if #idle > 0 then share_out(lanes, idle) end
    for _, worker in ipairs(idle) do
      if not hand_to(worker) then were_some_gone = true end
    end
    if not were_some_gone then return end
  end
end

-- Takes what was handed over out of ids and rows.
function Q.drop_handed(group)
  local ids, rows = {}, {}
  for at, id in ipairs(group.ids) do
    if not Q.is_handed[id] then
      ids[#ids + 1] = id
      rows[#rows + 1], rows[#rows + 2] = id, group.rows[2 * at]
    end
  end
  group.ids, group.rows = ids, rows
end
