-- What a batch accepts: `open` writes its record, before any of its members; `reserve` gives numbers to members that are about to be accepted.
-- ARGV: `open`, id, key ('' = none), digest of the request, JSON of what was asked for, what follows its end: on success, then whenever all have
--       ended, as followers (store/outbox.ts), each '' = nothing; its webhooks likewise, and how many they are; whether it takes no members later ('1', else ''); then as for `reserve`;
--       or `reserve`, id, how many members in all; ms within which members are confirmed, and for each part of them that is: how many they are, their queues as JSON
-- Reply: of `open`: 'opened', 'known' (a repeat), or 'replayed', 'resumed' or 'conflict' when its key belongs to another one, and the id; of `reserve`: 'reserved',
--        'unknown', 'closed' or 'full', and the id; and the first number; of 'resumed' then the first number of each part that is to be sent again

local what, id = args.text(), args.text()
local MOST_MEMBERS = 1000000

local function reserve(batch)
  local within_ms, from = args.number(), batch.next
  while args.are_left() do Q.reserve(id, batch, args.number(), args.text(), within_ms) end
  return from
end

-- A request is repeated. One that came with its members, and whose sending broke off, is sent to the end now: only as long as nobody may be looking
-- for its members, which has them refused. They are looked for later then.
local function replay(owner)
  local batch, within_ms = Q.read_batch(owner), args.number()
  local replayed, resumed, from = { 'replayed', owner, 0 }, { 'resumed', owner, 0 }, 0
  if not batch or not batch.isWhole or batch.pending == 0 then return replayed end
  if Q.NOW >= (batch.sentAt or batch.acceptedAt) + within_ms then return replayed end
  while args.are_left() do
    local count, queues = args.number(), args.text()
    local reserved = redis.call('HGET', Q.BATCH_RESERVED, owner .. ' ' .. from)
    -- Another release may send its members to other queues.
    if reserved and reserved ~= queues then return replayed end
    if reserved then resumed[#resumed + 1] = from end
    from = from + count
  end
  for at = 4, #resumed do redis.call('ZADD', Q.BATCH_DEADLINES, Q.NOW + within_ms, owner .. ' ' .. resumed[at]) end
  batch.sentAt = Q.NOW
  Q.write_batch(owner, batch)
  return resumed
end

local function open()
  local key, digest, json, success, complete = args.text(), args.text(), args.text(), args.text(), args.text()
  local told, webhooks, is_closed = args.text(), args.number(), args.text() == '1'
  local before = Q.read_batch(id)
  if before then return { 'known', id, 0 } end
  local owner = key ~= '' and redis.call('HGET', Q.BATCH_KEYS, key)
  if owner and string.sub(owner, 37) ~= digest then return { 'conflict', string.sub(owner, 1, 36), 0 } end
  if owner then return replay(string.sub(owner, 1, 36)) end
  if key ~= '' then redis.call('HSET', Q.BATCH_KEYS, key, id .. digest) end
  redis.call('HSET', Q.BATCHES, id, json)
  redis.call('ZADD', Q.BATCH_ORDER, 0, id)
  local followers = {}
  if success ~= '' then followers[1] = success end
  if complete ~= '' then followers[#followers + 1] = complete end
  if webhooks > 0 then followers[#followers + 1] = told end
  if #followers > 0 then
    redis.call('HSET', Q.FOLLOWERS, id, table.concat(followers, ' '))
    Q.note_followed('marked')
  end
  local batch = {
    next = 0, pending = 0, members = 0, ended = 0, succeeded = 0, dead = 0, cancelled = 0, isClosed = is_closed, isWhole = is_closed or nil, acceptedAt = Q.NOW,
    key = key ~= '' and key or nil, hasSuccess = success ~= '', hasComplete = complete ~= '', webhooks = webhooks > 0 and webhooks or nil,
  }
  local from = reserve(batch)
  if is_closed and batch.pending == 0 then Q.close_batch(id, batch) end
  Q.write_batch(id, batch)
  return { 'opened', id, from }
end

if what == 'open' then return open() end
local wanted = args.number()
local batch = Q.read_batch(id)
if not batch then return { 'unknown', id, 0 } end
if batch.isClosed then return { 'closed', id, 0 } end
if batch.next + wanted > MOST_MEMBERS then return { 'full', id, 0 } end
local from = reserve(batch)
Q.write_batch(id, batch)
return { 'reserved', id, from }
