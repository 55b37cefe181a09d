-- Makes popped messages tasks of this worker and fills its free slots.
-- ARGV: worker, lease in ms, what may have begun (`note_begun` in lib/worker.lua), tasks that may be handed to it if this call brings
--       none ('' = as it said before) and the number of the last hand that it has ('' as well), tasks wanted beside those popped, how many of them to look for in the lanes low and normal first,
--       then lane and message of each message that BRPOP brought
-- Reply: 'claimed' or 'paused', then the tasks, flat: id, header, content; and how many of the popped went back, because the worker was
-- handed tasks meanwhile that take their places. The header is the token of every later write.

local worker, lease_ms, begun, free, seen = args.text(), args.number(), args.text(), args.number(), args.number()
local want, from_low, from_normal = args.number(), args.number(), args.number()
local popped = args.list()
Q.renew_lease(worker, lease_ms)
Q.note_begun(worker, begun)

-- What was popped last goes back where it was; the ledger entries of all still stand where they were.
local function put_back(number)
  for _ = 1, number do
    local message, lane = table.remove(popped), table.remove(popped)
    redis.call('RPUSH', Q.READY[lane], message)
  end
  return number
end

if Q.PAUSED then
  put_back(#popped / 2)
  want = 0
end
local hands, unseen, back
if free or seen then
  Q.open_offers()
  hands, unseen = Q.hands_since(worker, seen)
  -- `free` counts without the places of what was popped.
  if free then back = put_back(math.min(#popped / 2, math.max(0, unseen - free))) end
  want = math.max(0, want - unseen)
end
for at = 1, #popped, 2 do Q.take_all(worker, popped[at], { popped[at + 1] }) end
Q.take_more(worker, want, math.min(want, from_low), math.min(want, from_normal))
if hands then Q.offer(worker, hands, free and free - unseen - math.max(0, #Q.taken_ids - #popped / 2), lease_ms) end
Q.hold(worker)
Q.commit()
return { Q.PAUSED and 'paused' or 'claimed', Q.taken, back or 0 }
