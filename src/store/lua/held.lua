-- What a worker holds as Redis sees it; it adopts what it did not know, because a reply was lost.
-- ARGV: worker, ids of tasks that run, of whatever worker
-- It is handed nothing until it offers places again: so of the hands up to the number in the first reply, these are all that are left.
-- Reply: the number of its last hand (0 = none), and those of this worker, as claim.lua answers them

local worker, ids = args.text(), args.list()
Q.load(Q.HEADERS, Q.headers, ids)
local mine = {}
for _, id in ipairs(ids) do
  local task = Q.headers[id] and Q.read_header(Q.headers[id])
  if task and task.state == 'running' and task.worker == worker then mine[#mine + 1] = id end
end
Q.load(Q.CONTENTS, Q.contents, mine)
local held = {}
for at, id in ipairs(mine) do
  held[3 * at - 2], held[3 * at - 1], held[3 * at] = id, Q.headers[id], Q.contents[id] or ''
end
return { string.format('%.0f', Q.end_hands(worker)), held }
