-- Renews a worker's lease and compares notes with it.
-- ARGV: worker, lease in ms, then id and token (finish.lua) of each task the worker knows it holds
-- Reply: 'paused' or 'open', how many tasks Redis says it holds, ids it has lost, ids to cancel,
--        1 when the worker is announced (0 = it has lost its lease, or Redis its data)

local worker = ARGV[1]
Q.renew_lease(worker, tonumber(ARGV[2]))

local ids, cancels = {}, {}
for at = 3, #ARGV, 2 do ids[#ids + 1] = ARGV[at] end
Q.load(Q.HEADERS, Q.headers, ids)
Q.load(Q.CANCELS, cancels, ids)

local lost, cancel = {}, {}
for at = 1, #ids do
  local id = ids[at]
  if Q.headers[id] ~= ARGV[2 * at + 2] then
    lost[#lost + 1] = id
  elseif cancels[id] then
    cancel[#cancel + 1] = id
  end
end
return {
  Q.PAUSED and 'paused' or 'open', redis.call('SCARD', Q.running_key(worker)), lost, cancel,
  redis.call('HEXISTS', Q.ANNOUNCED, worker),
}
