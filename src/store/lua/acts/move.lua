-- A task goes to another queue. Its row stays here as `moved` until it has arrived there; an entry of the outbox has it sent. One that
-- waits goes on waiting there, a dead one is ready there as if it were retried.
-- Returns 'moved'; 'pinned' when what follows an earlier end is still to be accepted; 'has-needs' when it came with needs, or its
-- handler has waited for something: that is told of here; 'in-batch' when it is dead and of a batch, which counts it as ended: its retry is told
-- of here; or the state it is in.
function Q.acts.move(id, task, to)
  if not Q.may_move(task.state, 'moved') then return task.state end
  if Q.is_pinned(id) then return 'pinned' end
  if Q.control[8] and redis.call('HEXISTS', Q.NEEDS, id) + redis.call('HEXISTS', Q.SOURCES, id) + redis.call('HEXISTS', Q.WAITS, id) > 0 then
    return 'has-needs'
  end
  if task.state == 'dead' and Q.batch_followers(id) then return 'in-batch' end
  local state = task.state == 'scheduled' and 'scheduled' or 'ready'
  if task.state == 'dead' then Q.forget_end(id, task) else Q.forget_wait(id, task) end
  Q.put(Q.MOVES, id, state .. ' ' .. to)
  Q.move_task(id, task, 'moved')
  Q.append_to_outbox({ { id = id, followers = '', state = 'moved' } })
  return 'moved'
end
