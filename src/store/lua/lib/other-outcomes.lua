-- Records the outcomes that finish.lua has behind the plain successes, whose number is given. Adds the tasks that the worker holds no
-- more to `left`, and calls `late(position, id, token, word)` for those whose token is not the header of their task.
function Q.record_others(successes, left, late)
  local others, ids = {}, {}
  while args.are_left() do
    local o = {
      id = args.text(), token = args.text(), word = args.text(), payload = args.text(), delay_ms = args.number(), keep_ms = args.number(),
      group = args.text(),
    }
    others[#others + 1], ids[#ids + 1] = o, o.id
  end
  local cancels = Q.load_lost(ids)
  for at, o in ipairs(others) do
    if Q.headers[o.id] == o.token then
      o.task, o.is_cancelled = Q.read_task(o.id), cancels[o.id]
      Q.outcomes[o.word](o)
      left[#left + 1] = o.id
    else
      late(successes + at, o.id, o.token, o.word)
    end
  end
end
