-- Writes or deletes a schedule, unless it was changed since the caller read it.
-- ARGV: name; digest of the definition that was read ('' = there was none); definition ('' = delete);
--       'paused' or 'active'; which tick comes next: 'same' (the one that is planned, or was when it was paused), 'owed' (that one
--       if it is due already, else the time given), 'new' (the time given); that time ('' = none);
--       ticks that are skipped by this (count_skipped), or '';
--       of the same schedule in the queue that it leaves: planned tick, last run and skipped ticks, each '' = none
-- Reply: 'changed', 'created', 'replaced', 'deleted' or 'unknown'; then planned tick, last run and skipped ticks as they were

local name, digest, definition = args.text(), args.text(), args.text()
local state, which, time, skipped_now = args.text(), args.text(), args.text(), args.text()
local carried = { planned = args.text(), last_run = args.text(), skipped = args.text() }
if not Q.is_as_read(name, digest) then return { 'changed', '', '', '' } end

local planned = redis.call('ZSCORE', Q.TICKS, name) or redis.call('HGET', Q.PARKED, name) or carried.planned
local last_run = redis.call('HGET', Q.LAST_RUNS, name) or carried.last_run
local skipped = redis.call('HGET', Q.SKIPPED, name) or carried.skipped

local function set_or_drop(key, value)
  if value and value ~= '' then redis.call('HSET', key, name, value) else redis.call('HDEL', key, name) end
end

if definition == '' then
  redis.call('ZREM', Q.TICKS, name)
  for _, key in ipairs({ Q.PARKED, Q.LAST_RUNS, Q.SKIPPED }) do redis.call('HDEL', key, name) end
  local word = redis.call('HDEL', Q.SCHEDULES, name) == 1 and 'deleted' or 'unknown'
  return { word, planned, last_run, skipped }
end

local was_due = (tonumber(planned) or math.huge) <= Q.WALL
if which == 'new' or planned == '' or (which == 'owed' and not was_due) then planned = time end
local created = redis.call('HSET', Q.SCHEDULES, name, definition) == 1
set_or_drop(Q.LAST_RUNS, last_run)
set_or_drop(Q.SKIPPED, skipped)
if skipped_now ~= '' then Q.count_skipped(name, skipped_now) end
set_or_drop(Q.PARKED, state == 'paused' and planned)
if state == 'paused' or planned == '' then redis.call('ZREM', Q.TICKS, name) else Q.plan_tick(name, planned) end
return { created and 'created' or 'replaced', planned, last_run, skipped }
