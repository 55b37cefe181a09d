-- That tasks have ended.

-- Tasks end: every task that ends passes here, whichever way it does, so whatever follows the end of a task begins here.
-- `bytes` is what all of them keep, for the retention by size; nil = nothing, because their rows go at once: they are deleted. Their headers
-- are put. `followed` are those of them that something may follow; nil = any.
function Q.ended(ids, from, to, bytes, followed)
  Q.move_many(ids, from, to)
  -- Those of tasks that ran and succeeded follow from these (totals.ts): they are nearly all, and cost nothing here.
  local deltas = Q.deltas
  if from ~= 'running' then deltas['ended-unstarted'] = (deltas['ended-unstarted'] or 0) + #ids end
  if to ~= 'succeeded' then deltas['ended-' .. to] = (deltas['ended-' .. to] or 0) + #ids end
  Q.append_ends(followed or ids, bytes and to or 'deleted')
  if not bytes then return end
  Q.deltas.bytes = Q.deltas.bytes + bytes
  if Q.control[8] then ids = Q.without_steps(ids) end
  if #ids == 0 then return end
  if to ~= 'dead' then return Q.call_sliced('RPUSH', Q.DONE, ids) end
  for _, id in ipairs(ids) do redis.call('ZADD', Q.DEAD, Q.NOW, id) end
end

-- Those of these tasks that are no steps: a step is listed once its workflow has ended (step.lua).
function Q.without_steps(ids)
  local others = {}
  Q.load(Q.STEPS, Q.steps, ids)
  for _, id in ipairs(ids) do
    if not Q.step_of(id) then others[#others + 1] = id end
  end
  return others
end

-- Bytes that terms take, about: in their column, and once more in the index, each with an id.
function Q.bytes_of_terms(terms)
  local _, blanks = string.gsub(terms, ' ', ' ')
  return Q.VALUE_BYTES + 2 * #terms + (blanks + 1) * (Q.VALUE_BYTES + 36)
end
