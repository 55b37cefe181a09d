-- Accepts tasks, all or none: writes each record, then pushes its reference and ledger entry (or plans it for later).
-- ARGV: for each task: message, lane, delay in ms ('0' = ready now)
-- Reply: positions (from 1) of the tasks that were known already, because this call is a repeat of one whose reply was lost

local known = {}
local references, entries = {}, {}
local accepted = 0
for at = 1, #ARGV, 3 do
  local message, lane, delay = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  local id = id_of(message)
  local record = task_key(id)
  -- A record that was there keeps its state: only its acceptance is written again, with the same message.
  local fields = { F.message, message, F.accepted, NOW }
  if lane ~= 'normal' then
    fields[5], fields[6] = F.lane, lane
  end
  if redis.call('HSET', record, unpack(fields)) < #fields / 2 then
    known[#known + 1] = (at + 2) / 3
  else
    accepted = accepted + 1
    if delay > 0 then
      move(id, 'new', 'scheduled', { F.due, NOW + delay })
      plan(id, NOW + delay)
    else
      move(id, 'new', 'ready')
      if not references[lane] then references[lane], entries[lane] = {}, {} end
      table.insert(references[lane], reference_of(message))
      table.insert(entries[lane], id .. ':0')
    end
  end
end
for lane, pushed in pairs(references) do
  call_sliced('LPUSH', ready_key(lane), pushed)
  call_sliced('LPUSH', ledger_key(lane), entries[lane])
end
count('accepted', accepted)
commit()
return known
