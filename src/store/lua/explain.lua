-- What decides whether a task runs now, all of it at one moment.
-- ARGV: id, how many tasks ahead are counted at most
-- Reply: the time in ms; since when the queue is paused ('' = it is open); tasks ahead of it in its lane (-1 = more than are counted,
--        -2 = it is not listed); length of each lane, in the order of LANES; tasks that run; live workers; those of them that are quiet or stopping;
--        when the lease of its worker runs out ('' = it has none); since when its message was missed ('' = it was not);
--        what the workers announced, flat: name and CBOR; why this release may not change the queue ('' = it may);
--        why the queue is paused ('' = nobody has said it);
--        names of its needs that are unmet, or what its handler waits for: tokens, children, ` children <number>`, how many children these are in all, and ` until <time>`, which ends the wait

local id, most = args.text(), args.number()
Q.load_tasks({ id })
local task = Q.read_task(id)
local ahead, suspect, lease = -2, false, false
if task and task.state == 'ready' then
  local entry = Q.ledger_entry(id, task.claims)
  local length = redis.call('LLEN', Q.LEDGER[task.lane])
  local at = redis.call('LPOS', Q.LEDGER[task.lane], entry, 'RANK', -1, 'MAXLEN', most)
  ahead = at and length - 1 - at or (length > most and -1 or -2)
  suspect = redis.call('HGET', Q.SUSPECTS, entry)
elseif task and task.state == 'running' then
  lease = redis.call('ZSCORE', Q.WORKERS, task.worker)
end
local unmet = {}
for _, need in ipairs(task and task.state == 'waiting' and Q.needs_of(id) or {}) do
  if need.word == '' then unmet[#unmet + 1] = need.name end
end
for _, source in ipairs(task and task.state == 'waiting' and Q.open_sources(id) or {}) do unmet[#unmet + 1] = source end
local quiet = 0
for _, order in ipairs(redis.call('HVALS', Q.ORDERS)) do
  if order ~= 'work' then quiet = quiet + 1 end
end
local lanes = {}
for at, lane in ipairs(Q.LANES) do lanes[at] = redis.call('LLEN', Q.READY[lane]) end
return {
  Q.NOW_TEXT, redis.call('HGET', Q.QUEUE, 'paused') or '', ahead, lanes,
  tonumber(redis.call('HGET', Q.COUNT, 'running') or 0),
  redis.call('ZCOUNT', Q.WORKERS, '(' .. Q.NOW_TEXT, '+inf'), quiet,
  lease or '', suspect or '', redis.call('HGETALL', Q.ANNOUNCED), Q.REFUSAL or '',
  redis.call('HGET', Q.QUEUE, 'paused_reason') or '', unmet,
}
