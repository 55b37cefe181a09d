-- Replays a dead task: ready again at the end of its lane, with a fresh budget of attempts and no expiry.
-- ARGV: id
-- Reply: 'replayed', 'unknown', or the state it is in instead of dead

local id = ARGV[1]
load_tasks({ id })
local task = read_task(id)
if not task then return 'unknown' end
if task.state ~= 'dead' then return task.state end

for _, column in ipairs({ LAST_ERRORS, EXPIRES, CANCELS, PROGRESS }) do redis.call('HDEL', column, id) end
redis.call('ZREM', DEAD, id)
redis.call('ZREM', KEPT, id)
kept_bytes = kept_bytes - task.bytes
task.failures, task.crashes, task.finished = 0, 0, nil
move_task(id, task, 'ready')
push('LPUSH', task.lane, id, task.claims)
commit()
return 'replayed'
