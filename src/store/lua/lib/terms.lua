-- What tasks are found by (store/terms.ts). SEARCH has a member `<term> <id>` for each term of each task, all of score 0: so it is in
-- the order of the terms and, within one, of the ids, which is that of time. TERMS has the terms of the tags and fields of a task,
-- DEAD_TERMS those that it has as long as it is dead. Terms have no blanks; several stand with blanks between.

-- Finds a task by these terms from now on. `column` keeps them.
function Q.index(column, id, terms)
  local entries = {}
  for term in string.gmatch(terms, '[^ ]+') do
    local last = #entries
    entries[last + 1], entries[last + 2] = 0, term .. ' ' .. id
  end
  Q.call_sliced('ZADD', Q.SEARCH, entries)
  Q.put(column, id, terms)
end

-- A task is found by these tags and fields from now on. The queue says that it has such tasks (`searched`), so that the ends of most
-- queues look for no terms.
function Q.found_by(id, terms)
  Q.index(Q.TERMS, id, terms)
  if Q.control[7] then return end
  Q.control[7] = '1'
  redis.call('HSET', Q.QUEUE, 'searched', 1)
end
