-- Makes popped messages tasks of this worker and fills its free slots.
-- ARGV: worker, lease in ms, what may have begun (`note_begun` in lib/worker.lua), tasks wanted beside those popped, how many of them to look for in the lanes low and normal first,
--       then lane and message of each message that BRPOP brought
-- Reply: 'claimed' or 'paused', then the tasks, flat: id, header, content; and how many entries were appended to the outbox. The header
-- is the token of every later write.

local worker, lease_ms, begun = args.text(), args.number(), args.text()
local want, from_low, from_normal = args.number(), args.number(), args.number()
local popped = args.list()
Q.renew_lease(worker, lease_ms)
Q.note_begun(worker, begun)

if Q.PAUSED then
  -- Everything goes back where it was; the ledger entries of what was popped still stand where they were.
  for at = #popped - 1, 1, -2 do redis.call('RPUSH', Q.READY[popped[at]], popped[at + 1]) end
  return { 'paused', {}, 0 }
end

for at = 1, #popped, 2 do Q.take_all(worker, popped[at], { popped[at + 1] }) end
Q.take_more(worker, want, from_low, from_normal)
Q.hold(worker)
Q.commit()
return { 'claimed', Q.taken, Q.appended }
