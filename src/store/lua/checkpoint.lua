-- Keeps what the handler of a running task wants to find when the task runs again.
-- ARGV: id, token (finish.lua), CBOR ('' = what was kept goes)
-- Reply: 1, or 0 when the task belongs to another worker by now

local id, token, value = args.text(), args.text(), args.text()
Q.load(Q.HEADERS, Q.headers, { id })
if Q.headers[id] ~= token then return 0 end
if value == '' then redis.call('HDEL', Q.CHECKPOINTS, id) else redis.call('HSET', Q.CHECKPOINTS, id, value) end
return 1
