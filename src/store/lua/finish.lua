-- Records how tasks ended, then claims the next ones for the slots that became free.
-- ARGV: worker, lease in ms, what may have begun, and what may be handed to it (claim.lua), tasks wanted, how many of them to look for in the lanes low and normal first;
--       how many plain successes there are, and the id of each; how many groups these make, in their order, and for each: token, bytes
--       that each of it keeps, how many they are; how many of them have a result, and id and result of each that has;
--       then for each other outcome: id, token, word, payload, delay in ms, time to live in ms ('' = the fleet's),
--       group of its error ('' unless it is dead; lib/error-groups.lua).
--       What each word does stands in outcomes/. The payload is the result, or the error, or ''.
-- A token is the header that the claim gave the task: it names worker and claim number, and no other claim has the same.
-- Reply: 'claimed' or 'paused', the positions (from 1) of outcomes that are stale, then the rest as claim.lua answers it

local worker, lease_ms, begun, free, seen = args.text(), args.number(), args.text(), args.number(), args.number()
local want, from_low, from_normal = args.number(), args.number(), args.number()
Q.renew_lease(worker, lease_ms)
Q.note_begun(worker, begun)

local successes = args.list(args.number())
local groups = args.list(3 * args.number())
local results = args.list(2 * args.number())

local late, stale = {}, {}
-- Tasks that the worker holds no more.
local left = {}
local function add_late(position, id, token, word)
  late[#late + 1] = { position = position, id = id, token = token, word = word or 'succeeded' }
end

-- Words of outcomes that are the state in which their task ends.
local ENDS = { succeeded = true, dead = true, cancelled = true }

-- Whether an outcome of a run was recorded before: its task is as that outcome has left it, and not as a sweep has, which has given it back.
local function is_recorded(word, task, run)
  if not task or not run or task.worker ~= worker or task.claims ~= run.claims then return false end
  if ENDS[word] then return task.state == word end
  if word == 'failed' and not task.finished and task.failures <= run.failures then return false end
  return task.crashes == run.crashes + (word == 'crashed' and 1 or 0)
end

-- Either the call is a repeat, because its first reply was lost, or the outcome comes too late.
local function settle_late()
  local ids = {}
  for at, one in ipairs(late) do ids[at] = one.id end
  Q.load_tasks(ids)
  for _, one in ipairs(late) do
    if not is_recorded(one.word, Q.read_task(one.id), Q.read_header(one.token)) then stale[#stale + 1] = one.position end
  end
  Q.deltas.stale = #stale
end

if #successes > 0 then left = Q.record_successes(successes, groups, results, add_late) end
if args.are_left() then Q.record_others(#successes, left, add_late) end
if #late > 0 then settle_late() end
Q.let_go(worker, left)

local hands, unseen
if free or seen then
  Q.open_offers()
  hands, unseen = Q.hands_since(worker, seen)
  want = math.max(0, want - unseen)
end
if want > 0 and not Q.PAUSED then
  Q.take_more(worker, want, math.min(want, from_low), math.min(want, from_normal))
  Q.hold(worker)
end
if hands then Q.offer(worker, hands, free and free - unseen - #Q.taken_ids, lease_ms) end
Q.commit()
return { Q.PAUSED and 'paused' or 'claimed', stale, Q.taken, Q.appended }
