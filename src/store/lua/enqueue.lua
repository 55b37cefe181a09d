-- Accepts tasks in one step: writes each record, then pushes its reference and ledger entry (or plans it for later).
-- ARGV: for each task: message, lane, extras (accept.lua)
-- Reply: for each task that was not simply accepted: its position (from 1), 'known', 'replayed' or 'conflict', an id.
--   known     this call is a repeat of one whose reply was lost
--   replayed  its idempotency key belongs to that task, made by the same request: nothing new was accepted
--   conflict  its idempotency key belongs to that task, made by another request: nothing new was accepted

local exceptions = {}
for at = 1, #ARGV, 3 do
  local verdict, id = accept(ARGV[at], ARGV[at + 1], ARGV[at + 2])
  if verdict ~= 'accepted' then
    local last = #exceptions
    exceptions[last + 1], exceptions[last + 2], exceptions[last + 3] = (at + 2) / 3, verdict, id
  end
end
push_accepted()
commit()
return exceptions
