-- Scheduled tasks that are due become ready.
Q.duties[#Q.duties + 1] = function(sweep)
  sweep.each_due(Q.LATER, function(id, task)
    if not task or task.state ~= 'scheduled' then return end
    Q.move_task(id, task, 'ready')
    Q.push('LPUSH', task.lane, id, task.claims)
    sweep.counts.due = sweep.counts.due + 1
  end)
end
