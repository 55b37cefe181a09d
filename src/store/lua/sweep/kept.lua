-- Finished tasks whose own time to live is over.
Q.duties[#Q.duties + 1] = function(sweep)
  local ids = sweep.each_due(Q.KEPT, sweep.remove)
  Q.call_sliced('ZREM', Q.DEAD, ids)
end
