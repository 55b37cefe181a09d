-- What tasks wait for. A need is `<source>:<generation>`, where a source is a task, a workflow, or a wait, and a generation says which run
-- of it: what comes of another generation is none of this need. NEEDS has of a task `fail`, `run` or `cancel` (what becomes of it when
-- a need fails), then each need with its name, with blanks between. NEED_VALUES has `<id> <need>` to '' as long as the need is unmet, then
-- to how the source ended and CBOR of what it brought, with a blank between. UNMET has how many are unmet, and bytes of all values.

-- The needs of a task, of which none is met, from now on.
function Q.need(id, needs)
  local fields, unmet = {}, 0
  for need in string.gmatch(needs, ' (%S+) %S+') do
    fields[#fields + 1], fields[#fields + 2] = id .. ' ' .. need, ''
    unmet = unmet + 1
  end
  Q.call_sliced('HSET', Q.NEED_VALUES, fields)
  Q.put(Q.NEEDS, id, needs)
  Q.put(Q.UNMET, id, unmet .. ' 0')
  Q.note_needed()
end
