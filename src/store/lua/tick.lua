-- Ticks of schedules: whichever worker comes first makes the task of a tick, or the record of its workflow, and plans the next one; the others
-- change nothing.
-- ARGV, for each tick: name of the schedule; the time for which it is planned, as the sweep answered it ('' = it is not);
--       digest of the definition it was read with ('' = there is none); the next time ('' = none);
--       ticks that are skipped by this (count_skipped), or '';
--       'none'; or 'task' and its id, content, lane and JSON of its extras (lib/extras.lua); or 'workflow' and its id, JSON of what was
--       asked for, its steps and then its webhooks as followers (store/outbox.ts), how many these are, each, and CBOR of the tasks
-- Reply: for each 'ticked', or 'stale' when another worker did it or the schedule was changed

-- What is read of the arguments for each kind of start.
local readers = {}

function readers.none() return nil end

function readers.task() return { id = args.text(), content = args.text(), lane = args.text(), extras = args.text() } end

function readers.workflow()
  return { id = args.text(), json = args.text(), followers = args.text(), open = args.number(), webhooks = args.number(), draft = args.text() }
end

-- Its steps are accepted over the outbox, however long that takes: so it has no deadline. One that is there was started by this tick before,
-- which comes again when the clock was set back.
local function start_workflow(flow)
  if redis.call('HEXISTS', Q.WORKFLOWS, flow.id) == 1 then return end
  Q.write_record(flow.id, flow.json, flow.followers, flow.open, flow.webhooks)
  redis.call('HSET', Q.WORKFLOW_DRAFTS, flow.id, flow.draft)
  local first = string.match(flow.followers, '^%S+')
  Q.append_to_outbox({ { id = flow.id, followers = first, state = 'begin', number = 'begin-1' } })
end

local ticks, ids, were_due = {}, {}, 0
while args.are_left() do
  local one = {
    name = args.text(), due = args.text(), digest = args.text(), next_due = args.text(), skipped = args.text(), kind = args.text(),
  }
  one.starts = readers[one.kind]()
  ticks[#ticks + 1] = one
  if one.kind == 'task' then ids[#ids + 1] = one.starts.id end
  if (tonumber(one.due) or math.huge) <= Q.WALL then were_due = were_due + 1 end
end
Q.load(Q.CONTENTS, Q.contents, ids)

local function tick(one)
  local name = one.name
  if (redis.call('ZSCORE', Q.TICKS, name) or '') ~= one.due or not Q.is_as_read(name, one.digest) then return 'stale' end
  if one.next_due == '' then redis.call('ZREM', Q.TICKS, name) else Q.plan_tick(name, one.next_due) end
  if one.skipped ~= '' then Q.count_skipped(name, one.skipped) end
  local starts = one.starts
  if not starts then return 'ticked' end
  local last_run = one.due .. ' ' .. starts.id
  if one.kind == 'task' then
    Q.gather(starts.id, starts.content, starts.lane, cjson.decode(starts.extras))
  else
    start_workflow(starts)
    last_run = last_run .. ' workflow'
  end
  redis.call('HSET', Q.LAST_RUNS, name, last_run)
  return 'ticked'
end

local words = {}
for at, one in ipairs(ticks) do words[at] = tick(one) end
-- Sweeps may name the ticks behind them as the first ones now.
if were_due > 0 then redis.call('HINCRBY', Q.QUEUE, 'ticks_named', -were_due) end
Q.accept_gathered()
Q.commit()
return words
