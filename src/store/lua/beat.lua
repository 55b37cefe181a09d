-- Renews a worker's lease and compares notes with it.
-- ARGV: worker, lease in ms, what may have begun, and what may be handed to it (claim.lua), the order it obeys ('' = none yet), how the
--       runs of each type have gone (lib/type-runs.lua; '' = there were none), how many counts of waits and runs it adds, the field
--       (spans.ts) and number of each, then id and token (finish.lua) of each task the worker knows it holds
-- Reply: 'paused' or 'open', how many tasks Redis says it holds, ids it has lost, ids to cancel,
--        1 when the worker is announced (0 = it has lost its lease, or Redis its data), its order (order.lua; '' = none),
--        the number up to which hands are spoken for, and the time of the scripts' clock in ms

local worker, lease_ms, begun, free, seen = args.text(), args.number(), args.text(), args.number(), args.number()
local obeyed = args.text()
Q.renew_lease(worker, lease_ms)
Q.note_begun(worker, begun)
local order = redis.call('HGET', Q.ORDERS, worker)
-- Redis has lost its lease with the order meanwhile, and the worker still obeys it.
if not order and obeyed ~= '' then redis.call('HSET', Q.ORDERS, worker, obeyed) end

local type_runs = args.text()
if type_runs ~= '' then Q.add_type_runs(type_runs) end
for _ = 1, args.number() do
  local field = args.text()
  redis.call('HINCRBY', Q.COUNT, field, args.number())
end

local ids, tokens, cancels = {}, {}, {}
while args.are_left() do ids[#ids + 1], tokens[#tokens + 1] = args.text(), args.text() end
Q.load(Q.HEADERS, Q.headers, ids)
Q.load(Q.CANCELS, cancels, ids)

local lost, cancel = {}, {}
for at, id in ipairs(ids) do
  if Q.headers[id] ~= tokens[at] then
    lost[#lost + 1] = id
  elseif cancels[id] then
    cancel[#cancel + 1] = id
  end
end
-- One that was forgotten begins anew: hands that are still on their way to it belong to others.
local is_announced = redis.call('HEXISTS', Q.ANNOUNCED, worker)
if is_announced == 0 then Q.void_hands(worker) end
local hands, unseen = Q.hands_since(worker, seen)
Q.offer(worker, hands, free and free - unseen, lease_ms)
return {
  Q.PAUSED and 'paused' or 'open', tonumber(redis.call('HGET', Q.HOLDS, worker)) or 0, lost, cancel, is_announced, order or obeyed,
  string.format('%.0f', hands.from), Q.NOW_TEXT,
}
