-- Scheduled tasks that are due become ready.
Q.duties[#Q.duties + 1] = function(sweep)
  local lanes, due = {}, {}
  sweep.each_due(Q.LATER, function(id, task)
    if not task or task.state ~= 'scheduled' or Q.end_without_content(id, task) then return end
    Q.move_task(id, task, 'ready')
    local group = lanes[task.lane] or { ids = {}, rows = {} }
    local last = #group.rows
    lanes[task.lane], group.ids[#group.ids + 1] = group, id
    group.rows[last + 1], group.rows[last + 2] = id, Q.contents[id]
    due[#due + 1] = { id = id, task = task }
  end)
  sweep.counts.due = sweep.counts.due + #due
  Q.hand_over(lanes)
  for _, one in ipairs(due) do
    if not (Q.is_handed and Q.is_handed[one.id]) then Q.push('LPUSH', one.task.lane, one.id, one.task.claims) end
  end
end
