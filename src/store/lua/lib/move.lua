-- Moves between states, and the counts they keep.

-- Moves become one event: those made together in a field of their own, and all others in one more.
Q.deltas, Q.single_moves, Q.moves_made = { bytes = 0 }, {}, 0

-- The only place where tasks change their state: checks the move against the table and keeps the counts and the events.
-- Moves all ids, or those from the index `first` on.
function Q.move_many(ids, from, to, first)
  if not Q.may_move(from, to) then
    error({ err = 'popfleet: illegal move from ' .. from .. ' to ' .. to })
  end
  local deltas, number = Q.deltas, #ids - (first or 1) + 1
  -- Ids that each have the new state behind them, with a blank between two.
  local moves = table.concat(ids, to .. ' ', first or 1) .. to
  if from == 'new' then
    deltas.accepted = (deltas.accepted or 0) + number
  else
    deltas[from] = (deltas[from] or 0) - number
  end
  deltas[to] = (deltas[to] or 0) + number
  -- Sums of the times that tasks stay in a state (totals.ts): each adds the time at which it leaves, less that at which it came.
  local at = number * (Q.NOW - Q.STAYS_FROM)
  if from == 'ready' and to == 'running' then
    deltas['claimed-ms'] = (deltas['claimed-ms'] or 0) + at
  else
    if to == 'ready' or to == 'running' then deltas[to .. '-ms'] = (deltas[to .. '-ms'] or 0) - at end
    if from == 'ready' or from == 'running' then deltas[from .. '-ms'] = (deltas[from .. '-ms'] or 0) + at end
  end
  Q.moves_made = Q.moves_made + number
  if number == 1 and not Q.moves_in_order then
    Q.single_moves[#Q.single_moves + 1] = moves
  else
    local last = #Q.events
    Q.events[last + 1], Q.events[last + 2] = 'm', moves
  end
end

-- `task` is what `read_task` answered, changed as far as more than its state changes.
function Q.move_task(id, task, to)
  Q.move_many({ id }, task.state, to)
  task.state = to
  Q.put_header(id, task)
end

-- Writes what was gathered; every script that moves tasks ends with it. Returns how many tasks the queue has accepted in all when it
-- has accepted any now.
function Q.commit()
  Q.write_rows()
  if Q.awaited then Q.tell_rows(Q.awaited) end
  local accepted
  for name, by in pairs(Q.deltas) do
    -- Redis writes a number that it gets as text, and slowly: those that nearly all single tasks need are text already.
    if by == 1 then by = '1' elseif by == -1 then by = '-1' end
    local count = by ~= 0 and redis.call('HINCRBY', Q.COUNT, name, by)
    if name == 'accepted' then accepted = count end
  end
  -- In front: what is moved alone is most often of a higher lane, or comes back, and was taken first.
  if #Q.single_moves > 0 then
    table.insert(Q.events, 1, table.concat(Q.single_moves, ' '))
    table.insert(Q.events, 1, 'm')
  end
  if #Q.events > 0 then Q.emit(Q.moves_made, Q.events) end
  return accepted
end
