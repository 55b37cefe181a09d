-- Accepts tasks in one step: writes each row, then pushes its reference and ledger entry, or plans it for later. As the script `hand`,
-- it first hands what it can to idle workers (lib/hand-over.lua): with all the keys that this takes it costs more, so it is called where
-- the reply of the call before has said that a worker may be idle, or nothing is known.
-- ARGV: how many are plain (the default lane and no extras); the id of each; id and content of each;
--       then for each other task: id, content, lane, JSON of its extras (lib/extras.lua)
-- Reply: for each task that was not simply accepted: its position (from 1), 'known', 'replayed', 'conflict' or 'voided', an id.
--   known     this call is a repeat of one whose reply was lost
--   replayed  its idempotency key belongs to that task, made by the same request: nothing new was accepted
--   conflict  its idempotency key belongs to that task, made by another request: nothing new was accepted
--   voided    it has a key that is free, and somebody has looked for it in vain (void.lua), or its row is gone: it is not accepted any more
--        Then 0, 'idle' and '' when a worker may be idle, from enqueue; 'busy' when none is, from hand.
--        Then 0, 'first' and '' when these are the first tasks of the queue: Redis has not known it, or has lost its data.

local plain = args.number()
local ids, rows = args.list(plain), args.list(2 * plain)
local exceptions = {}

local function except(position, verdict, id)
  if verdict == 'accepted' then return end
  local last = #exceptions
  exceptions[last + 1], exceptions[last + 2], exceptions[last + 3] = position, verdict, id
end

local function is_any_known()
  local known = redis.call('HMGET', Q.CONTENTS, unpack(ids))
  for at = 1, plain do
    if known[at] then return true end
  end
  return false
end

if plain > 0 then
  -- The ids of one call were made together.
  if Q.is_made_now(ids[1]) and not is_any_known() then
    -- What nearly every call is: nothing has to be written but what the arguments hold already.
    Q.gathered[Q.DEFAULT_LANE] = { ids = ids, rows = rows }
  else
    Q.load(Q.CONTENTS, Q.contents, ids)
    for at = 1, plain do except(at, Q.gather(ids[at], rows[2 * at], Q.DEFAULT_LANE, {})) end
  end
end
local others, other_ids, without_key = {}, {}, {}
while args.are_left() do
  local one = { id = args.text(), content = args.text(), lane = args.text(), extras = cjson.decode(args.text()) }
  others[#others + 1], other_ids[#other_ids + 1] = one, one.id
  if not one.extras.key then without_key[#without_key + 1] = one end
end
if #others > 0 then
  Q.load(Q.CONTENTS, Q.contents, other_ids)
  Q.mark(without_key)
end
for at, one in ipairs(others) do except(plain + at, Q.gather(one.id, one.content, one.lane, one.extras)) end
Q.accept_gathered()
local accepted_in_all = Q.commit()
-- Who waits until replicas have it (`WAIT`) waits for what this connection has written, so there is always something: since 7.2 Redis
-- goes by the last write alone.
if not accepted_in_all then redis.call('HSET', Q.QUEUE, 'wall', Q.WALL, 'skew', Q.SKEW) end
if Q.hand_over then
  if not Q.control[9] then except(0, 'busy', '') end
elseif Q.control[9] then
  except(0, 'idle', '')
end
if accepted_in_all and accepted_in_all == Q.deltas.accepted then except(0, 'first', '') end
return exceptions
