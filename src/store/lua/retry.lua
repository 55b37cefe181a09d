-- Replays a dead task: ready again at the end of its lane, with a fresh budget of attempts and no expiry.
-- ARGV: id
-- Reply: 'replayed', 'unknown', or the state it is in instead of dead

local id = args.text()
Q.load_tasks({ id })
local task = Q.read_task(id)
if not task then return 'unknown' end
if task.state ~= 'dead' then return task.state end

for _, column in ipairs({ Q.LAST_ERRORS, Q.EXPIRES, Q.CANCELS, Q.PROGRESS, Q.LOST_LEASES }) do redis.call('HDEL', column, id) end
redis.call('ZREM', Q.DEAD, id)
redis.call('ZREM', Q.KEPT, id)
Q.deltas.bytes = Q.deltas.bytes - task.bytes
task.failures, task.crashes, task.finished = 0, 0, nil
Q.move_task(id, task, 'ready')
Q.push('LPUSH', task.lane, id, task.claims)
Q.commit()
return 'replayed'
