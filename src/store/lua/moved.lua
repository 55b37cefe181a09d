-- Tasks have arrived in the queue to which they went: their rows go here, and they count no more as accepted here.
-- ARGV: names of their entries in the outbox
-- Reply: how many rows have gone

local gone = 0
for _, entry in ipairs(Q.drop_entries(args.list())) do
  local id = string.sub(entry, 1, 36)
  Q.load_tasks({ id })
  local task = Q.read_task(id)
  if task and task.state == 'moved' and Q.remove(id, task) then
    gone = gone + 1
    Q.deltas.removed, Q.deltas.accepted = Q.deltas.removed - 1, (Q.deltas.accepted or 0) - 1
    Q.deltas['moved-out'] = (Q.deltas['moved-out'] or 0) + 1
  end
end
Q.commit()
return gone
