-- Looks at some tasks: what an operation would do. It changes nothing.
-- ARGV: what an operation would be as JSON, with its cursor; how many tasks to look at, ids that are wanted
-- Reply: the cursor to go on with ('' = all were looked at), how many were looked at, states of those that match and how many of each,
--        ids of the first that match

local op, most, wanted = cjson.decode(args.text()), args.number(), args.number()
local states, ids = {}, {}
local is_over, looked = Q.walk(op, most, function(id, task)
  states[task.state] = (states[task.state] or 0) + 1
  if #ids < wanted then ids[#ids + 1] = id end
end)
local flat = {}
for state, number in pairs(states) do
  flat[#flat + 1], flat[#flat + 2] = state, number
end
return { is_over and '' or op.cursor, looked, flat, ids }
