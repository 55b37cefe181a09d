-- What workers hold: RUNNING has the ids of all tasks that run, whose headers name their workers, and HOLDS how many each worker has.

-- The worker holds these tasks.
function Q.take_hold(worker, ids)
  Q.call_sliced('SADD', Q.RUNNING, ids)
  redis.call('HINCRBY', Q.HOLDS, worker, #ids)
end

-- The worker holds these tasks of its own no more.
function Q.let_go(worker, ids)
  if #ids == 0 then return end
  Q.call_sliced('SREM', Q.RUNNING, ids)
  redis.call('HINCRBY', Q.HOLDS, worker, -#ids)
end

-- The header of a task once `worker` has claimed it; false when it is not ready (cancelled, done, a duplicate), or spoilt.
function Q.header_of_claim(worker, header)
  local task = Q.read_header(header)
  if not task or task.state ~= 'ready' then return false end
  task.state, task.claims, task.worker, task.started = 'running', task.claims + 1, worker, Q.NOW_TEXT
  return Q.write_header(task)
end

-- These tasks, or those from the index `first` on, were taken to be started: they are in time.
function Q.note_started(ids, first)
  if Q.has_unstarted then redis.call('ZREM', Q.UNSTARTED, unpack(ids, first or 1)) end
end
