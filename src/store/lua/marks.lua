-- Settles marks that a sweep has named (sweep/marks.lua).
-- ARGV, for each: the mark, 'gone' when its entry is in the outbox no more, else 'there'

while args.are_left() do
  local mark, is_gone = args.text(), args.text() == 'gone'
  if is_gone then redis.call('ZREM', Q.MARKS, mark) else redis.call('ZADD', Q.MARKS, 'XX', Q.NOW_TEXT, mark) end
end
return {}
