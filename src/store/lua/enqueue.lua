-- Accepts tasks in one step: writes each row, then pushes its reference and ledger entry (or plans it for later).
-- ARGV: how many are plain (the normal lane and nothing special); the id of each; id and content of each;
--       then for each other task: id, content, lane, JSON of what is special about it (`more` in accept.lua)
-- Reply: for each task that was not simply accepted: its position (from 1), 'known', 'replayed' or 'conflict', an id.
--   known     this call is a repeat of one whose reply was lost
--   replayed  its idempotency key belongs to that task, made by the same request: nothing new was accepted
--   conflict  its idempotency key belongs to that task, made by another request: nothing new was accepted
--        Then 0, 'first' and '' when these are the first tasks of the queue: Redis has not known it, or has lost its data.

local plain = tonumber(ARGV[1])
local PAIRS_FROM, OTHERS_FROM = 2 + plain, 2 + 3 * plain
local exceptions = {}

local function except(position, verdict, id)
  if verdict == 'accepted' then return end
  local last = #exceptions
  exceptions[last + 1], exceptions[last + 2], exceptions[last + 3] = position, verdict, id
end

local function accept_one_by_one(made_now)
  for position = 1, plain do
    local id, content = ARGV[PAIRS_FROM + 2 * position - 2], ARGV[PAIRS_FROM + 2 * position - 1]
    except(position, Q.accept(id, content, 'normal', made_now, {}))
  end
end

-- What nearly every call is: nothing is known yet, and nothing has to be written but what the arguments hold already.
local function accept_all()
  redis.call('HSET', Q.CONTENTS, unpack(ARGV, PAIRS_FROM, OTHERS_FROM - 1))
  local pushed = {}
  for at = 1, plain do pushed[at] = Q.reference_of(ARGV[1 + at], ARGV[PAIRS_FROM + 2 * at - 1]) end
  redis.call('LPUSH', Q.ready_key('normal'), unpack(pushed))
  redis.call('LPUSH', Q.ledger_key('normal'), unpack(ARGV, 2, 1 + plain))
  Q.move_many(plain, 'new', 'ready', Q.moves_text(ARGV, 'ready', 2, 1 + plain))
  Q.accepted = Q.accepted + plain
end

local function is_any_known()
  local known = redis.call('HMGET', Q.CONTENTS, unpack(ARGV, 2, 1 + plain))
  for at = 1, plain do
    if known[at] then return true end
  end
  return false
end

if plain > 0 then
  -- The ids of one call were made together.
  local made_now = Q.is_made_now(ARGV[2])
  if made_now and not is_any_known() then
    accept_all()
  else
    Q.load(Q.CONTENTS, Q.contents, { unpack(ARGV, 2, 1 + plain) })
    accept_one_by_one(made_now)
  end
end
for at = OTHERS_FROM, #ARGV, 4 do
  local id = ARGV[at]
  Q.load(Q.CONTENTS, Q.contents, { id })
  local verdict, owner = Q.accept(id, ARGV[at + 1], ARGV[at + 2], Q.is_made_now(id), cjson.decode(ARGV[at + 3]))
  except(plain + (at - OTHERS_FROM) / 4 + 1, verdict, owner)
end
if Q.push_accepted() == Q.accepted then except(0, 'first', '') end
Q.commit()
return exceptions
