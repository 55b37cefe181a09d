-- Tasks that somebody waits for: AWAITED has their ids by when somebody has looked last and found that they have not ended (await.lua).
-- The event of such an end has the row of the task as well (lib/told.lua), so that whoever waits need not read it then.

-- Notes which of these tasks, which end now, somebody waits for.
function Q.note_awaited(ids)
  if redis.call('EXISTS', Q.AWAITED) == 0 then return end
  local awaited, marks = {}, redis.call('ZMSCORE', Q.AWAITED, unpack(ids))
  for at = 1, #ids do
    if marks[at] then awaited[#awaited + 1] = ids[at] end
  end
  if #awaited == 0 then return end
  redis.call('ZREM', Q.AWAITED, unpack(awaited))
  Q.open_told()
  Q.awaited = awaited
end
