-- What happens to batches.
-- ARGV: `close`, id; or `confirm`, id, first of the numbers, how many there are, then those that no member has (one whose end was told has one); or
--       `give-up`, the same, when those were looked for in vain: a batch whose tasks came with it has them as cancelled; or
--       `ended`, id, then for each: number of the member, number of its end, state ('retried' = it is ready again)
-- Reply: 'known' or 'unknown', and how many entries were appended to the outbox

local what, id = args.text(), args.text()
local batch = Q.read_batch(id)
if not batch then return { 'unknown', 0 } end

-- Chunks that this call has read: their text, and whether it was changed.
local chunks = {}

local function chunk_of(kind, number)
  local field = id .. ' ' .. kind .. ' ' .. math.floor(number / Q.CHUNK_MEMBERS)
  if not chunks[field] then
    chunks[field] = { bits = redis.call('HGET', Q.BATCH_BITS, field) or string.rep('\0', Q.CHUNK_BYTES) }
  end
  return chunks[field]
end

local function get_bit(kind, number)
  local at = math.floor(number % Q.CHUNK_MEMBERS / 8) + 1
  return math.floor(string.byte(chunk_of(kind, number).bits, at) / 2 ^ (number % 8)) % 2
end

-- Returns whether that has changed it.
local function set_bit(kind, number, value)
  if get_bit(kind, number) == value then return false end
  local chunk, at = chunk_of(kind, number), math.floor(number % Q.CHUNK_MEMBERS / 8) + 1
  local byte = string.byte(chunk.bits, at) + (value == 1 and 1 or -1) * 2 ^ (number % 8)
  chunk.bits = string.sub(chunk.bits, 1, at - 1) .. string.char(byte) .. string.sub(chunk.bits, at + 1)
  chunk.is_changed = true
  return true
end

-- Takes the end of a member back: only one that is dead is retried.
local function clear(number)
  if not set_bit('ended', number, 0) then return end
  batch.ended = batch.ended - 1
  if set_bit('succeeded', number, 0) then batch.succeeded = batch.succeeded - 1 else batch.dead = batch.dead - 1 end
end

local function count_end(number, state)
  if not set_bit('ended', number, 1) then return end
  batch.ended = batch.ended + 1
  batch[state] = batch[state] + 1
  if state == 'succeeded' then set_bit('succeeded', number, 1) end
end

-- Ends and retries of a member are numbered together: what is older than the latest that was told changes nothing.
local function note(number, latest, state)
  local field = id .. ' ' .. string.format('%.0f', number)
  local before = tonumber(redis.call('HGET', Q.BATCH_ENDS, field) or get_bit('ended', number))
  if latest <= before then return end
  if latest > 1 then redis.call('HSET', Q.BATCH_ENDS, field, latest) end
  clear(number)
  if state ~= 'retried' then count_end(number, state) end
end

local verbs = {}

function verbs.close() batch.isClosed = true end

local function confirm(is_lost)
  local from, count = args.text(), args.number()
  if redis.call('HDEL', Q.BATCH_RESERVED, id .. ' ' .. from) == 0 then return end
  redis.call('ZREM', Q.BATCH_DEADLINES, id .. ' ' .. from)
  batch.pending, batch.members = batch.pending - count, batch.members + count
  while args.are_left() do
    local number = args.number()
    if get_bit('ended', number) == 0 and redis.call('HEXISTS', Q.BATCH_ENDS, id .. ' ' .. string.format('%.0f', number)) == 0 then
      if is_lost and batch.isWhole then
        count_end(number, 'cancelled')
        batch.missing = (batch.missing or 0) + 1
      else
        batch.members = batch.members - 1
      end
    end
  end
end

function verbs.confirm() confirm(false) end

verbs['give-up'] = function() confirm(true) end

function verbs.ended()
  while args.are_left() do note(args.number(), args.number(), args.text()) end
end

verbs[what]()
for field, chunk in pairs(chunks) do
  if chunk.is_changed then redis.call('HSET', Q.BATCH_BITS, field, chunk.bits) end
end
Q.close_batch(id, batch)
Q.write_batch(id, batch)
return { 'known', Q.appended }
