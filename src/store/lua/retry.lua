-- Replays a dead task: ready again at the end of its lane, with a fresh budget of attempts and no expiry.
-- ARGV: id
-- Reply: 'replayed', 'unknown', or the state it is in instead of dead

local id = ARGV[1]
local record = redis.call('HMGET', task_key(id), F.message, F.state, F.lane, F.claims, F.bytes)
local state = state_of(record[1], record[2])
if not state then return 'unknown' end
if state ~= 'dead' then return state end

redis.call('HDEL', task_key(id), F.finished, F.error, F.bytes, F.expires, F.cancel, F.progress)
redis.call('ZREM', DEAD, id)
redis.call('ZREM', KEPT, id)
kept_bytes = kept_bytes - (tonumber(record[5]) or 0)
move(id, 'dead', 'ready', { F.failures, 0, F.crashes, 0 })
push('LPUSH', record[3] or 'normal', id, record[1], record[4] or '0')
commit()
return 'replayed'
