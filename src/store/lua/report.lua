-- Writes what running handlers tell of their progress and their log.
-- ARGV: worker, lines kept of a log, then for each task: id, claim, progress (CBOR, '' = unchanged), number of lines, lines
-- Reply: how many tasks were heard; others belong to somebody else by now

local worker, lines_kept = ARGV[1], tonumber(ARGV[2])
local heard, at = {}, 3
while at <= #ARGV do
  local id, claim, progress, lines = ARGV[at], ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3])
  local record = redis.call('HMGET', task_key(id), F.state, F.claims, F.worker)
  if record[1] == 'running' and record[2] == claim and record[3] == worker then
    if progress ~= '' then redis.call('HSET', task_key(id), F.progress, progress) end
    if lines > 0 then
      redis.call('RPUSH', log_key(id), unpack(ARGV, at + 4, at + 3 + lines))
      redis.call('LTRIM', log_key(id), -lines_kept, -1)
    end
    heard[#heard + 1] = id
  end
  at = at + 4 + lines
end
if #heard > 0 then
  redis.call('XADD', BASE .. ':events', 'MAXLEN', '=', EVENTS_KEPT, '*', 'p', table.concat(heard, ' '))
end
return #heard
