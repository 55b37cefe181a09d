-- Tasks come into being: every task that is accepted passes here. The caller puts a header where one is needed, and the task
-- where its workers find it.
-- `rows` has id and content of each, `to` is its first state.
function Q.accept(ids, rows, to)
  Q.call_sliced('HSET', Q.CONTENTS, rows)
  Q.move_many(ids, 'new', to)
end
