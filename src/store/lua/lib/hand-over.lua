-- Hand-over: tasks that become ready while nothing else waits are claimed for idle workers in the same step, and sent to them, over a
-- channel that each worker has of its own. Whoever hears a hand runs its tasks without asking: they are its own from now on.

-- Hands over what it can of tasks that are ready since this call and stand on no list yet. `lanes` has for each lane their ids, and as
-- `rows` id and content of each. What was handed over is in `is_handed`, nil = nothing: the caller pushes the others.
function Q.hand_over(lanes)
  if Q.PAUSED or not Q.control[9] then return end
  local number = 0
  for _, lane in ipairs(Q.LANES) do
    if redis.call('EXISTS', Q.READY[lane]) == 1 then return end
    number = number + (lanes[lane] and #lanes[lane].ids or 0)
  end
  if number == 0 then return end
  Q.open_share_out()
  Q.share_out(lanes, number)
end
