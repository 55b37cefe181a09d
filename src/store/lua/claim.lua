-- Makes popped messages tasks of this worker and fills its free slots.
-- ARGV: worker, lease in ms, tasks wanted beside those popped, how many of them to look for in the lanes low and normal first,
--       then lane and message of each message that BRPOP brought
-- Reply: 'claimed' or 'paused', then the tasks, flat: id, header, content. The header is the token of every later write.

local worker, lease_ms, want = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
Q.renew_lease(worker, lease_ms)

if Q.PAUSED then
  -- Everything goes back where it was; the ledger entries of what was popped still stand where they were.
  for at = #ARGV - 1, 6, -2 do redis.call('RPUSH', Q.ready_key(ARGV[at]), ARGV[at + 1]) end
  return { 'paused', {} }
end

for at = 6, #ARGV, 2 do Q.take_all(worker, ARGV[at], { ARGV[at + 1] }) end
Q.take_more(worker, want, tonumber(ARGV[4]), tonumber(ARGV[5]))
Q.hold(worker)
Q.commit()
return { 'claimed', Q.taken }
