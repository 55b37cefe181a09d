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
