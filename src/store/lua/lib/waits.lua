-- What handlers wait for without a slot. A source is a token (a dot and its name) or a child (`>` and its id). SOURCES has of a task each with a
-- digest of how it was asked for, ` <source>=<digest>`; of a child a colon and its queue stand behind that. SOURCE_VALUES has `<id> <source>` to '' as long as nothing has come, then to how it
-- ended, a digest of what it brought ('-' = none), and CBOR of that, with blanks between: 'late' is a token whose wait was over before.
-- WAITS has the latest wait of a task: `open`, `met`, `late` or `none`, when it ends (0 = never), how many of its sources are open, how often the task
-- began anew, and these sources.
-- WAIT_ENDS has the ids of tasks whose wait ends by itself.

function Q.wait_of(id)
  local word, ends, unmet, anew, sources = string.match(redis.call('HGET', Q.WAITS, id) or '', '^(%l+) (%d+) (%d+) (%d+)(.*)$')
  return word and { word = word, ends = ends, unmet = tonumber(unmet), anew = anew, sources = sources }
end

function Q.put_wait(id, wait)
  redis.call('HSET', Q.WAITS, id, table.concat({ wait.word, wait.ends, wait.unmet, wait.anew }, ' ') .. wait.sources)
end

-- The wait is over, and the task runs again behind those that are ready.
function Q.resume(id, task, wait, word)
  wait.word = word
  Q.put_wait(id, wait)
  Q.move_task(id, task, 'ready')
  Q.push('LPUSH', task.lane, id, task.claims)
end
