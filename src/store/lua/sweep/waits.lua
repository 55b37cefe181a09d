-- Waits of handlers that end by themselves (lib/waits.lua). A token that nothing has come for is late from then on.
Q.duties[#Q.duties + 1] = function(sweep)
  if not Q.control[8] then return end
  sweep.each_due(Q.WAIT_ENDS, function(id, task)
    local wait = task and task.state == 'waiting' and Q.wait_of(id)
    if not wait or wait.word ~= 'open' then return end
    if Q.end_without_content(id, task) then return end
    for token in string.gmatch(wait.sources, ' (%.%S+)') do redis.call('HSET', Q.SOURCE_VALUES, id .. ' ' .. token, 'late - ') end
    Q.resume(id, task, wait, wait.sources == '' and 'met' or 'late')
  end)
end
